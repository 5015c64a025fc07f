"""Checks that several modules make: each raises ValueError with what was given and what was expected.

Book: §0
"""

import torch
from jaxtyping import Int
from torch import Tensor


def require_positive(**sizes: int) -> None:
    """Each is at least 1."""
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} is {size}; expected at least 1")


def require_share(**shares: float) -> None:
    """Each is a share that leaves something: from 0 to below 1."""
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f"{name} is {share}; expected 0 <= {name} < 1")


def require_one_of(name: str, given: str, known: tuple[str, ...]) -> None:
    """It is one of those known."""
    if given not in known:
        raise ValueError(f"{name} is {given!r}; expected one of {known}")


def require_indices(indices: Int[Tensor, "..."], names: str, name: str, **limit: int) -> None:
    """Each is at least 0 and below the limit, as far as their values can be looked at."""
    ((limit_name, below),) = limit.items()
    if indices.numel() and has_values(indices):
        low, high = indices.min().item(), indices.max().item()
        if not 0 <= low <= high < below:
            raise ValueError(f"{names} go from {low} to {high}; expected 0 <= {name} < {limit_name} = {below}")


def has_values(x: Tensor) -> bool:
    """Whether the values of a tensor can be looked at.

    On the meta device there are none, nor while a compiler traces (a subclass then stands in for
    the tensor), and under a transformation such as `vmap` there are several at once.
    """
    return not (
        torch.compiler.is_compiling()
        or x.is_meta
        or type(x) not in (Tensor, torch.nn.Parameter)
        or torch._C._functorch.is_functorch_wrapped_tensor(x)
    )
