"""Checks of 1.3.2/parameter-count; the right answers are counted on PyTorch's own layers."""

import torch
from torch import nn

from llmbook.exercises.exercise import Case


def oracle(
    vocab_size: int,
    max_len: int,
    d_model: int,
    num_heads: int,
    num_layers: int,
    d_ff: int,
    tied: bool,
) -> int:
    with torch.device("meta"):
        layer = nn.TransformerEncoderLayer(d_model, num_heads, d_ff, norm_first=True)
        parts = [
            nn.Embedding(vocab_size, d_model),
            nn.Embedding(max_len, d_model),
            nn.LayerNorm(d_model),
        ]
        parts += [] if tied else [nn.Linear(d_model, vocab_size, bias=False)]
    count = sum(parameter.numel() for part in parts for parameter in part.parameters())
    return count + num_layers * sum(
        parameter.numel() for parameter in layer.parameters()
    )


def cases() -> list[Case]:
    gpt2 = (50257, 1024, 768, 12, 12, 3072, True)
    return [
        Case(
            {"zh": "一层，宽 6", "en": "one layer of width 6"},
            (11, 7, 6, 2, 1, 20, True),
            2,
            public=True,
        ),
        Case(
            {
                "zh": "GPT-2（124,439,808 个参数）",
                "en": "GPT-2 (124,439,808 parameters)",
            },
            gpt2,
            2,
            public=True,
        ),
        Case(
            {"zh": "GPT-2 XL，48 层", "en": "GPT-2 XL, 48 layers"},
            (50257, 1024, 1600, 25, 48, 6400, True),
            2,
        ),
        Case(
            {"zh": "输出层另有矩阵", "en": "the output layer has a matrix of its own"},
            (*gpt2[:-1], False),
            1,
        ),
        Case({"zh": "没有层", "en": "no layers"}, (101, 33, 6, 2, 0, 20, False), 1),
    ]
