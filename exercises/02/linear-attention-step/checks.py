"""Checks of 2.1.2/linear-attention-step; the right answers come from the T × T weights, which the exercise avoids."""

import torch
from torch import Tensor

from llmbook.exercises.exercise import Case


def oracle(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    def phi(x: Tensor) -> Tensor:
        return torch.where(x > 0, x + 1, x.clamp(max=0).exp())

    weights = (phi(query.double()) @ phi(key.double()).mT).tril()
    weights = weights / weights.sum(dim=1, keepdim=True)
    return (weights @ value.double()).to(value.dtype)


def cases() -> list[Case]:
    draw = torch.Generator().manual_seed(2120)

    def example(length: int, key_width: int, value_width: int) -> tuple:
        return (
            torch.randn(length, key_width, generator=draw),
            torch.randn(length, key_width, generator=draw),
            torch.randn(length, value_width, generator=draw),
        )

    def small(length: int, key_width: int, value_width: int) -> tuple:
        return (
            torch.randint(-4, 5, (length, key_width), generator=draw) / 2,
            torch.randint(-4, 5, (length, key_width), generator=draw) / 2,
            torch.randint(-9, 10, (length, value_width), generator=draw).float(),
        )

    return [
        Case(
            {
                "zh": "三个词元，键宽 2，值宽 4",
                "en": "three tokens, keys of width 2, values of width 4",
            },
            small(3, 2, 4),
            2,
            public=True,
        ),
        Case(
            {
                "zh": "五个词元，键宽 3，值宽 2",
                "en": "five tokens, keys of width 3, values of width 2",
            },
            small(5, 3, 2),
            2,
            public=True,
        ),
        Case(
            {"zh": "十二个词元", "en": "twelve tokens"},
            example(12, 8, 6),
            2,
        ),
        Case(
            {
                "zh": "词元数、键宽、值宽都是 4",
                "en": "four tokens, keys and values of width 4",
            },
            example(4, 4, 4),
            1,
        ),
        Case({"zh": "只有一个词元", "en": "a single token"}, example(1, 3, 5), 1),
        Case({"zh": "三百个词元", "en": "three hundred tokens"}, example(300, 4, 3), 1),
        Case(
            {"zh": "梯度", "en": "the gradient"},
            example(6, 3, 2),
            1,
            gradient=True,
        ),
    ]
