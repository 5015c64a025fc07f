"""Checks of 2.1.1/nearest-key; the right answers are held to a Gaussian kernel of PyTorch's distances."""

import torch
from torch import Tensor

from llmbook.exercises.exercise import Case


def oracle(query: Tensor, key: Tensor, h: float) -> tuple[Tensor, Tensor]:
    added = torch.linalg.vector_norm(key.double(), dim=1).square() / -2
    longer_key = torch.cat([key.double(), added[:, None]], dim=1)
    longer_query = torch.nn.functional.pad(query.double(), (0, 1), value=1.0) / h**2
    distance = torch.cdist(
        query.double(), key.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    weights = (longer_query @ longer_key.mT).softmax(dim=1)
    kernel = (-(distance**2) / (2 * h**2)).softmax(dim=1)
    assert torch.allclose(weights, kernel, atol=1e-9)
    return longer_query.to(query.dtype), longer_key.to(key.dtype)


def cases() -> list[Case]:
    draw = torch.Generator().manual_seed(211)

    def example(queries: int, keys: int, width: int, h: float) -> tuple:
        return (
            torch.randn(queries, width, generator=draw),
            torch.randn(keys, width, generator=draw),
            h,
        )

    line = torch.tensor([[2.0], [4.0]]), torch.tensor([[1.0], [2.0], [5.0]])
    space = (
        torch.randint(-9, 10, (4, 3), generator=draw) / 4,
        torch.randint(-9, 10, (5, 3), generator=draw) / 4,
    )
    query, key, h = example(3, 4, 2, 0.7)
    return [
        Case(
            {
                "zh": "一维：查询 2、4，键 1、2、5",
                "en": "one dimension: queries 2 and 4, keys 1, 2 and 5",
            },
            (*line, 2.0),
            2,
            public=True,
        ),
        Case(
            {
                "zh": "三维：四个查询，五个键，h 小于 1",
                "en": "three dimensions: four queries, five keys, h below 1",
            },
            (*space, 0.5),
            2,
            public=True,
        ),
        Case(
            {"zh": "八维，h 大于 1", "en": "eight dimensions, h above 1"},
            example(7, 6, 8, 1.5),
            2,
        ),
        Case({"zh": "很窄的核", "en": "a very narrow kernel"}, example(2, 9, 5, 0.05)),
        Case(
            {"zh": "双精度", "en": "double precision"},
            (query.double(), key.double(), h),
        ),
    ]
