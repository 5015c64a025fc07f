"""Checks of 1.2.2/scaled-scores; the right answers are those of the book's attention, which is held to PyTorch's."""

import torch
from torch import Tensor

from llmbook.exercises.exercise import Case
from llmbook.nn import scaled_dot_product_attention


def oracle(query: Tensor, key: Tensor, visible: Tensor) -> Tensor:
    _, weights = scaled_dot_product_attention(
        query[:, None],
        key[:, None],
        key[:, None],
        mask=visible[:, None],
        return_weights=True,
    )
    return weights[:, 0]


def cases() -> list[Case]:
    draw = torch.Generator().manual_seed(122)
    hand = (
        torch.tensor([[[1.0, 0.0, 1.0, 0.0], [0.0, 2.0, 0.0, 2.0]]]),
        torch.tensor(
            [[[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0]]]
        ),
    )
    everything = torch.ones(1, 2, 3, dtype=torch.bool)
    one_hidden = torch.tensor([[[True, True, False], [True, True, True]]])
    query, key = (
        torch.randn(3, 5, 8, generator=draw),
        torch.randn(3, 7, 8, generator=draw),
    )
    lengths = torch.tensor([7, 3, 1])
    padded = (torch.arange(7) < lengths[:, None])[:, None].expand(3, 5, 7).contiguous()
    blind = padded.clone()
    blind[1, 2:4] = False
    wide = (
        30 * torch.randn(2, 3, 64, generator=draw),
        30 * torch.randn(2, 4, 64, generator=draw),
    )
    causal = torch.ones(2, 3, 4, dtype=torch.bool).tril(1)
    return [
        Case(
            {
                "zh": "两个查询，三个键，都看得见",
                "en": "two queries, three keys, all visible",
            },
            (*hand, everything),
            2,
            public=True,
        ),
        Case(
            {"zh": "有一个键看不见", "en": "one key is hidden"},
            (*hand, one_hidden),
            2,
            public=True,
        ),
        Case(
            {"zh": "一批不同长度的句子", "en": "a batch of different lengths"},
            (query, key, padded),
            2,
        ),
        Case(
            {"zh": "有的行什么也看不见", "en": "some rows see nothing"},
            (query, key, blind),
            2,
        ),
        Case(
            {
                "zh": "什么也看不见的行，梯度",
                "en": "the gradient where rows see nothing",
            },
            (query, key, blind),
            1,
            gradient=True,
        ),
        Case({"zh": "很大的分数", "en": "very large scores"}, (*wide, causal), 1),
    ]
