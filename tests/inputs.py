"""Random inputs and the usual comparison, for the tests of what computes with tensors."""

import torch
from torch import Tensor


def random_inputs(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """Standard normal numbers, the same for the same seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def close(actual: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Fails unless both agree, absolutely or relatively."""
    torch.testing.assert_close(actual, expected, atol=tolerance, rtol=tolerance)
