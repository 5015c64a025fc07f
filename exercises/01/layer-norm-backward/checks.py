"""Checks of 1.4.2/layer-norm-backward; the right answers are those of autograd through PyTorch's layer norm."""

import torch
from torch import Tensor
from torch.nn import functional as F

from llmbook.exercises.exercise import Case


def oracle(
    grad: Tensor, x: Tensor, weight: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    leaves = [
        x.double().requires_grad_(),
        weight.double().requires_grad_(),
        torch.zeros_like(weight).double().requires_grad_(),
    ]
    output = F.layer_norm(leaves[0], weight.shape, leaves[1], leaves[2], eps)
    grads = torch.autograd.grad(output, leaves, grad.double())
    return grads[0].to(x.dtype), grads[1].to(x.dtype), grads[2].to(x.dtype)


def cases() -> list[Case]:
    draw = torch.Generator().manual_seed(142)

    def example(batch: int, length: int, width: int, shift: float = 0.0) -> tuple:
        normal = [torch.randn(batch, length, width, generator=draw) for _ in range(2)]
        return (
            normal[0],
            normal[1] + shift,
            1 + 0.5 * torch.randn(width, generator=draw),
            1e-5,
        )

    hand = (
        torch.tensor([[[1.0, 0.0, 0.0, 0.0]]]),
        torch.tensor([[[0.0, 0.0, 2.0, 2.0]]]),
    )
    flat = (
        torch.randn(1, 2, 6, generator=draw),
        torch.full((1, 2, 6), 0.5),
        torch.ones(6),
        1e-2,
    )
    return [
        Case(
            {"zh": "一行，四个数，γ = 1", "en": "one row of four numbers, γ = 1"},
            (*hand, torch.ones(4), 0.0),
            2,
            public=True,
        ),
        Case(
            {"zh": "两行，γ 各不相同", "en": "two rows, different γ"},
            example(1, 2, 3),
            2,
            public=True,
        ),
        Case({"zh": "一批句子", "en": "a batch of sentences"}, example(3, 5, 16), 3),
        Case(
            {"zh": "均值很大", "en": "a large mean"},
            example(2, 3, 8, shift=10.0),
            1,
            tolerance=1e-4,
        ),
        Case(
            {"zh": "一行里的数全都相等", "en": "all numbers of a row are equal"},
            flat,
            1,
        ),
        Case(
            {"zh": "双精度", "en": "double precision"},
            tuple(
                part.double() if isinstance(part, Tensor) else part
                for part in example(2, 2, 5)
            ),
            1,
            tolerance=1e-9,
        ),
    ]
