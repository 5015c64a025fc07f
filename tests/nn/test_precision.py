"""Half types in single precision, the others as they are."""

import pytest
import torch

from llmbook.nn import at_least_float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_types(dtype):
    x = torch.tensor([1.5, -300.0], dtype=dtype, requires_grad=True)
    y = at_least_float32(x)
    assert y.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert (y is x) == (dtype in (torch.float32, torch.float64))
    y.square().sum().backward()
    assert x.grad.dtype == dtype


def test_what_it_is_for():
    assert torch.tensor(300.0).half().square().isinf()
    assert at_least_float32(torch.tensor(300.0).half()).square() == 90_000
    assert torch.tensor(256.0).bfloat16() + torch.tensor(1.0).bfloat16() == 256
