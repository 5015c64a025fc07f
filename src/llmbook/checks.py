"""Checks that several modules make: each raises ValueError with what was given and what was expected.

Book: §0
"""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from numbers import Integral
from typing import Any

import torch
from torch import Tensor


def is_integer(value: Any) -> bool:
    """Whether it is one, Python's or NumPy's; True and 1.0 are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def require_at_least(least: int, **numbers: int) -> None:
    """Each is an integer from there on."""
    for name, number in numbers.items():
        if not is_integer(number) or number < least:
            raise ValueError(f"{name} is {number!r}; expected at least {least}, an integer")


def require_positive(**sizes: int) -> None:
    """Each is an integer, at least 1."""
    require_at_least(1, **sizes)


def require_even(**sizes: int) -> None:
    """Each is even and at least 2."""
    for name, size in sizes.items():
        if not isinstance(size, Integral) or size < 2 or size % 2:
            raise ValueError(f"{name} is {size!r}; expected an even number, at least 2")


def require_divides(**pair: int) -> None:
    """The first of two sizes divides the second, and neither is below 1."""
    (part_name, part), (whole_name, whole) = pair.items()
    if part < 1 or whole < 1 or whole % part:
        raise ValueError(f"{part_name} = {part} does not divide {whole_name} = {whole}")


def require_above_zero(**values: float) -> None:
    """Each is above 0."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} is {value}; expected {name} > 0")


def require_share(**shares: float) -> None:
    """Each is a share that leaves something: from 0 to below 1."""
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ValueError(f"{name} is {share}; expected 0 <= {name} < 1")


def require_iterable(name: str, values: Iterable[Any]) -> None:
    """It can be gone through in an order, and is not one string."""
    if type(values) in (list, tuple):
        return
    if isinstance(values, (str, bytes, bytearray, Mapping, Set)) or not hasattr(values, "__iter__"):
        raise ValueError(f"{name} is a {type(values).__name__}; expected a list")


def require_list(name: str, values: Iterable[Any]) -> list[Any]:
    """The values as a list, of an iterator too; `require_iterable` of them."""
    require_iterable(name, values)
    return list(values)


def require_one_of(name: str, given: str, known: Collection[str]) -> None:
    """It is one of those known."""
    if given not in known:
        raise ValueError(f"{name} is {given!r}; expected one of {tuple(known)}")


def require_last(x: Tensor, **width: int) -> None:
    """The last dimension of x has this width, given by its name."""
    ((name, size),) = width.items()
    if x.ndim == 0 or x.shape[-1] != size:
        raise ValueError(f"x has shape {list(x.shape)}; expected a last dimension of {name} = {size}")


def require_sequence(x: Tensor, name: str, **width: int) -> None:
    """x is [batch, length, width], the width given by its name."""
    ((width_name, size),) = width.items()
    if x.ndim != 3 or x.shape[-1] != size:
        raise ValueError(f"{name} has shape {list(x.shape)}; expected [batch, length, {width_name} = {size}]")


def require_mask(mask: Tensor, shape: Sequence[int]) -> None:
    """The mask is boolean and of this shape."""
    if mask.dtype != torch.bool or list(mask.shape) != list(shape):
        raise ValueError(
            f"the mask is {mask.dtype} of shape {list(mask.shape)}; expected torch.bool of shape {list(shape)}"
        )


def require_indices(indices: Tensor, names: str, name: str, **limit: int) -> None:
    """Each is at least 0 and below the limit, given by its name, as far as their values can be looked at."""
    ((limit_name, below),) = limit.items()
    if indices.numel() and has_values(indices):
        low, high = indices.min().item(), indices.max().item()
        if not 0 <= low <= high < below:
            raise ValueError(f"{names} go from {low} to {high}; expected 0 <= {name} < {limit_name} = {below}")


def has_values(x: Tensor) -> bool:
    """Whether the values of a tensor can be looked at.

    On the meta device there are none, nor while a compiler traces (a subclass then stands in for the tensor), and under a
    transformation such as `vmap` there are several at once.
    """
    return not (
        torch.compiler.is_compiling()
        or x.is_meta
        or type(x) not in (Tensor, torch.nn.Parameter)
        or torch._C._functorch.is_functorch_wrapped_tensor(x)
    )
