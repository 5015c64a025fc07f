"""Checks of 1.2.1/teacher-forcing-loss; the right answers are those of PyTorch's cross-entropy."""

import torch
from torch import Tensor
from torch.nn import functional as F

from llmbook.exercises.exercise import Case


def oracle(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    targets = token_ids[:, 1:].reshape(-1)
    scores = logits[:, :-1].reshape(-1, logits.shape[-1])
    if not (targets != pad_id).any():
        return scores.sum() * 0.0
    return F.cross_entropy(scores, targets, ignore_index=pad_id)


def cases() -> list[Case]:
    draw = torch.Generator().manual_seed(121)
    sure = torch.tensor(
        [[[0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0]]]
    )
    ids = torch.tensor([[3, 1, 2]])
    padded = torch.tensor([[3, 1, 2, 2, 1], [3, 2, 0, 0, 0]])
    pair = torch.randn(2, 5, 4, generator=draw)
    alone = torch.tensor([[3, 0, 0]])
    long = torch.randint(1, 50, (4, 12), generator=draw)
    for row, length in enumerate((12, 7, 3, 1)):
        long[row, length:] = 0
    return [
        Case(
            {"zh": "一句，没有填充", "en": "one sentence, no padding"},
            (sure, ids, 0),
            2,
            public=True,
        ),
        Case(
            {"zh": "两句，后一句有填充", "en": "two sentences, one of them padded"},
            (pair, padded, 0),
            2,
            public=True,
        ),
        Case(
            {"zh": "四句，长短不一", "en": "four sentences of different lengths"},
            (torch.randn(4, 12, 50, generator=draw), long, 0),
            1,
        ),
        Case(
            {"zh": "只有一个词元要预测", "en": "a single token to predict"},
            (torch.randn(1, 3, 4, generator=draw), torch.tensor([[3, 1, 0]]), 0),
            1,
        ),
        Case(
            {"zh": "很大的分数", "en": "very large scores"}, (1000 * pair, padded, 0), 1
        ),
        Case(
            {"zh": "没有词元要预测", "en": "no token to predict"},
            (torch.randn(1, 3, 4, generator=draw), alone, 0),
            1,
        ),
        Case(
            {"zh": "填充的编号不是 0", "en": "padding has another id than 0"},
            (pair, torch.tensor([3, 1, 2, 0])[padded], 3),
            1,
        ),
        Case({"zh": "梯度", "en": "the gradient"}, (pair, padded, 0), 1, gradient=True),
    ]
