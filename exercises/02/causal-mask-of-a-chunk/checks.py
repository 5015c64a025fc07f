"""Checks of 2.1.2/causal-mask-of-a-chunk; the right answers are the last rows of a square mask."""

import torch
from torch import Tensor

from llmbook.exercises.exercise import Case


def oracle(query_len: int, key_len: int) -> Tensor:
    whole = torch.ones(key_len, key_len).tril() > 0
    return whole[key_len - query_len :].contiguous()


def cases() -> list[Case]:
    return [
        Case(
            {
                "zh": "两个新词元，缓存里三个",
                "en": "two new tokens, three in the cache",
            },
            (2, 5),
            1,
            public=True,
        ),
        Case(
            {
                "zh": "三个新词元，缓存里四个",
                "en": "three new tokens, four in the cache",
            },
            (3, 7),
            1,
            public=True,
        ),
        Case(
            {
                "zh": "新词元比缓存里的多",
                "en": "more new tokens than there are in the cache",
            },
            (9, 11),
            1,
        ),
        Case(
            {"zh": "长提示的最后一段", "en": "the last chunk of a long prompt"},
            (16, 64),
            1,
        ),
        Case({"zh": "一次写一个词元", "en": "one token is written"}, (1, 6), 1),
        Case({"zh": "缓存是空的", "en": "the cache is empty"}, (4, 4), 1),
    ]
