"""Checks of 1.2.3/merge-heads; the right answers are PyTorch's."""

import torch
from torch import Tensor
from torch.nn import functional as F

from llmbook.exercises.exercise import Case


def oracle(
    x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor, w_o: Tensor, num_heads: int
) -> Tensor:
    width = x.shape[-1]
    joined = torch.cat([w_q.T, w_k.T, w_v.T])
    output, _ = F.multi_head_attention_forward(
        *[x.transpose(0, 1)] * 3,
        width,
        num_heads,
        joined,
        None,
        None,
        None,
        False,
        0.0,
        w_o.T,
        None,
        need_weights=False,
    )
    return output.transpose(0, 1).contiguous()


def cases() -> list[Case]:
    draw = torch.Generator().manual_seed(123)

    def example(batch: int, length: int, width: int, num_heads: int) -> tuple:
        weights = [
            torch.randn(width, width, generator=draw) / width**0.5 for _ in range(4)
        ]
        return (torch.randn(batch, length, width, generator=draw), *weights, num_heads)

    def small(length: int, width: int, num_heads: int) -> tuple:
        parts = [
            torch.randint(-2, 3, (1, length, width), generator=draw),
            *torch.randint(-2, 3, (4, width, width), generator=draw),
        ]
        return (*(part / 2 for part in parts), num_heads)

    return [
        Case(
            {"zh": "一个头", "en": "one head"},
            small(3, 4, 1),
            1,
            public=True,
        ),
        Case(
            {
                "zh": "两个头各宽 3，五个位置",
                "en": "two heads of width 3, five positions",
            },
            small(5, 6, 2),
            2,
            public=True,
        ),
        Case(
            {"zh": "随机的权重，一批两句", "en": "random weights, a batch of two"},
            example(2, 5, 8, 2),
            2,
        ),
        Case({"zh": "四个头", "en": "four heads"}, example(3, 6, 16, 4), 2),
        Case(
            {"zh": "头数等于宽度", "en": "as many heads as the width"},
            example(1, 4, 6, 6),
            1,
        ),
    ]
