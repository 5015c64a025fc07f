"""Checks of 1.1.2/causal-convolution; the right answers are those of PyTorch's convolution, padded on the left."""

import torch
from torch import Tensor
from torch.nn import functional as F

from llmbook.exercises.exercise import Case


def oracle(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    padded = F.pad(x.mT, (dilation * (weight.shape[-1] - 1), 0))
    return F.conv1d(padded, weight, dilation=dilation).mT.contiguous()


def cases() -> list[Case]:
    draw = torch.Generator().manual_seed(112)
    steps = torch.tensor([[[1.0], [10.0], [100.0], [1000.0], [10000.0]]])
    counting = torch.tensor([[[1.0, 2.0, 3.0]]])
    small = (
        torch.randint(-9, 10, (2, 5, 3), generator=draw).float(),
        torch.randint(-9, 10, (4, 3, 2), generator=draw).float(),
    )
    x, weight = (
        torch.randn(3, 9, 4, generator=draw),
        torch.randn(5, 4, 3, generator=draw),
    )
    return [
        Case(
            {"zh": "三个权重，相邻的词元", "en": "three weights, neighboring tokens"},
            (steps, counting, 1),
            2,
            public=True,
        ),
        Case(
            {
                "zh": "两句，三个数变四个，间隔 2",
                "en": "two sentences, three numbers to four, a dilation of 2",
            },
            (*small, 2),
            2,
            public=True,
        ),
        Case({"zh": "更长的句子", "en": "longer sentences"}, (x, weight, 1), 2),
        Case(
            {"zh": "间隔 4", "en": "a dilation of 4"},
            (x, weight[:, :, :2].contiguous(), 4),
            1,
        ),
        Case(
            {"zh": "间隔比序列还长", "en": "the dilation is longer than the sequence"},
            (x[:, :3], weight, 6),
            1,
        ),
        Case(
            {"zh": "核宽为 1", "en": "a kernel of width 1"},
            (x, weight[:, :, :1].contiguous(), 2),
            1,
        ),
        Case({"zh": "梯度", "en": "the gradient"}, (x, weight, 2), 1, gradient=True),
    ]
