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
    gain, bias = torch.randn(16, generator=draw), torch.randn(16, generator=draw)
    return [
        Case(
            {"zh": "一行，[1, 0, 0, 0]", "en": "one row, [1, 0, 0, 0]"},
            (torch.tensor([[[1.0, 0.0, 0.0, 0.0]]]), ones, zeros, 1e-5),
            1,
            public=True,
        ),
        Case(
            {"zh": "两行，大小不同", "en": "two rows of different size"},
            (
                torch.tensor([[[0.0, 2.0, 0.0, 2.0], [1.0, 1.0, 1.0, 1.01]]]),
                ones,
                zeros,
                1e-2,
            ),
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
