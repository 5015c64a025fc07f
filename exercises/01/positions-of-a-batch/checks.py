"""Checks of 1.2.4/positions-of-a-batch; the right answers are those of PyTorch's embedding of positions."""

import torch
from torch import Tensor
from torch.nn import functional as F

from llmbook.exercises.exercise import Case


def oracle(x: Tensor, table: Tensor, first: int = 0) -> Tensor:
    return x + F.embedding(torch.arange(first, first + x.shape[1]), table)


def cases() -> list[Case]:
    draw = torch.Generator().manual_seed(124)
    table = torch.randint(-9, 10, (6, 4), generator=draw).float()
    x = torch.randint(-9, 10, (2, 3, 4), generator=draw).float()
    wide = torch.randn(32, 5, generator=draw)
    same = torch.randn(4, 4, 5, generator=draw)
    return [
        Case(
            {"zh": "两句，每句三个词元", "en": "two sentences of three tokens"},
            (x, table, 0),
            2,
            public=True,
        ),
        Case(
            {"zh": "接着写：从位置 2 起", "en": "writing goes on at position 2"},
            (x[:, :1], table, 2),
            2,
            public=True,
        ),
        Case(
            {
                "zh": "句子数与词元数相同，不给 first",
                "en": "as many sentences as tokens, first not given",
            },
            (same, wide),
            1,
        ),
        Case(
            {"zh": "一个词元，一批七句", "en": "one token, a batch of seven"},
            (torch.randn(7, 1, 5, generator=draw), wide, 9),
            1,
        ),
        Case(
            {"zh": "用满整张表", "en": "the whole table is used"},
            (torch.randn(2, 32, 5, generator=draw), wide, 0),
            1,
        ),
        Case({"zh": "梯度", "en": "the gradient"}, (same, wide, 3), 1, gradient=True),
    ]
