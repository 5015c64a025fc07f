"""Checks of 1.4.2/layer-norm-of-a-tutorial; the right answers are PyTorch's."""

import torch
from torch import Tensor
from torch.nn import functional as F

from llmbook.exercises.exercise import Case


def oracle(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return F.layer_norm(x, weight.shape, weight, bias, eps)


def cases() -> list[Case]:
    draw = torch.Generator().manual_seed(1420)
    ones, zeros = torch.ones(4), torch.zeros(4)
    x = torch.randn(2, 3, 16, generator=draw) + 2
    small = torch.randint(-9, 10, (2, 3, 4), generator=draw) / 8
    small[1, 2] = torch.tensor([1.0, 1.0, 1.0, 1.25])
    gain, bias = torch.randn(16, generator=draw), torch.randn(16, generator=draw)
    return [
        Case(
            {"zh": "一行，[1, 0, 0, 0]", "en": "one row, [1, 0, 0, 0]"},
            (torch.tensor([[[1.0, 0.0, 0.0, 0.0]]]), ones, zeros, 1e-5),
            1,
            public=True,
        ),
        Case(
            {
                "zh": "两句，γ 与 β，ε 不小",
                "en": "two sentences, γ and β, an ε that is not small",
            },
            (small, gain[:4], bias[:4], 0.25),
            1,
            public=True,
        ),
        Case(
            {"zh": "随机的输入，γ 与 β", "en": "random input, γ and β"},
            (x, gain, bias, 1e-5),
            2,
        ),
        Case(
            {"zh": "一行里的数全都相等", "en": "all numbers of a row are equal"},
            (torch.full((1, 1, 4), 3.0), ones, zeros, 1e-5),
            1,
        ),
        Case(
            {"zh": "梯度，ε 很大", "en": "the gradient with a large ε"},
            (x, gain, bias, 0.5),
            1,
            gradient=True,
        ),
    ]
