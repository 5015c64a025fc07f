"""Checks of 2.1.2/kv-cache-bytes; the right answers are counted on tensors without data."""

import torch

from llmbook.exercises.exercise import Case

TYPES = {1: torch.int8, 2: torch.float16, 4: torch.float32, 8: torch.float64}


def oracle(
    lengths: list[int],
    num_layers: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    bytes_per_number: int,
) -> int:
    size = 0
    for length in lengths:
        for _ in range(num_layers):
            key, value = (
                torch.empty(
                    num_kv_heads,
                    length,
                    head_dim,
                    dtype=TYPES[bytes_per_number],
                    device="meta",
                )
                for _ in range(2)
            )
            size += key.nbytes + value.nbytes
    return size


def cases() -> list[Case]:
    return [
        Case(
            {
                "zh": "三句，七层，20 个头合用 5 组",
                "en": "three sentences, seven layers, 20 heads that share 5 sets",
            },
            ([11, 9, 13], 7, 20, 5, 6, 4),
            1,
            public=True,
        ),
        Case(
            {
                "zh": "Llama 3 8B，8,192 个词元，16 位",
                "en": "Llama 3 8B, 8,192 tokens, 16 bits",
            },
            ([8192], 32, 32, 8, 128, 2),
            1,
            public=True,
        ),
        Case(
            {"zh": "每个头各存一组", "en": "a set for each head"},
            ([300, 1000], 32, 32, 32, 128, 2),
            1,
        ),
        Case(
            {
                "zh": "所有的头合用一组，8 位",
                "en": "one set for all heads, 8 bits",
            },
            ([17, 5, 64], 6, 16, 1, 48, 1),
            1,
        ),
        Case(
            {
                "zh": "一批很长的和很短的",
                "en": "a batch of very long and very short ones",
            },
            ([131_072, 3, 1, 0, 40_000], 80, 64, 8, 128, 2),
            1,
        ),
        Case({"zh": "一句也没有", "en": "an empty batch"}, ([], 7, 20, 5, 6, 4), 1),
    ]
