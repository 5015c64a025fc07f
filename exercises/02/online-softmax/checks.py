"""Checks of 2.1.2/online-softmax; the right answers are those of PyTorch's softmax of all scores at once."""

import math

import torch
from torch import Tensor

from llmbook.exercises.exercise import Case


def oracle(scores: Tensor, values: Tensor, sizes: list[int]) -> Tensor:
    weights = scores.double().softmax(dim=0).nan_to_num(0.0)  # NaN: nothing is visible
    return (weights @ values.double()).to(values.dtype)


def cases() -> list[Case]:
    draw = torch.Generator().manual_seed(212)

    def values(count: int, width: int) -> Tensor:
        return torch.randint(-9, 10, (count, width), generator=draw).float()

    small = torch.tensor([1.0, 3.0, 2.0, 5.0, 0.0, 4.0])
    large = [10_000.0, 9_998.0, -10_000.0, -9_999.0, 9_999.0, -3.0, 10_001.0, 0.0]
    far_below = torch.tensor([-10_002.0, -10_000.0, -10_003.0, -10_001.0, -10_004.0])
    many = 4 * torch.randn(40, generator=draw)
    hidden_first = torch.randn(9, generator=draw) - 200
    hidden_first[:3] = hidden_first[5] = -math.inf
    hidden_between = torch.randn(9, generator=draw)
    hidden_between[2:6] = -math.inf
    return [
        Case(
            {"zh": "六个键，分成两块", "en": "six keys in two tiles"},
            (small, values(6, 3), [2, 4]),
            2,
            public=True,
        ),
        Case(
            {
                "zh": "分数到 ±10,000，大小不同的三块",
                "en": "scores as large as ±10,000 in three tiles of different sizes",
            },
            (torch.tensor(large), values(8, 2), [3, 1, 4]),
            1,
            public=True,
        ),
        Case(
            {"zh": "所有分数都远小于零", "en": "all scores are far below zero"},
            (far_below, values(5, 4), [2, 3]),
            1,
            public=True,
        ),
        Case(
            {"zh": "四十个键，五块", "en": "forty keys in five tiles"},
            (many, torch.randn(40, 6, generator=draw), [7, 1, 12, 5, 15]),
            2,
        ),
        Case(
            {"zh": "一块只有一个键", "en": "one key a tile"},
            (many[:7].contiguous(), torch.randn(7, 3, generator=draw), [1] * 7),
            1,
        ),
        Case(
            {
                "zh": "第一块的键全都看不见",
                "en": "all keys of the first tile are hidden",
            },
            (hidden_first, values(9, 4), [3, 6]),
            1,
        ),
        Case(
            {"zh": "中间一块看不见", "en": "a tile in between is hidden"},
            (hidden_between, values(9, 4), [2, 4, 3]),
            1,
        ),
        Case(
            {"zh": "一个键也看不见", "en": "no key is visible"},
            (torch.full((5,), -math.inf), values(5, 3), [2, 3]),
            1,
        ),
    ]
