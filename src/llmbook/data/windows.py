"""A long text in pieces of one length, for language models.

Book: §1.1.2
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from llmbook import seeding
from llmbook.checks import require_positive


class Window(NamedTuple):
    """Tokens, and the one that follows each."""

    token_ids: Int[Tensor, "batch length"]
    targets: Int[Tensor, "batch length"]


def random_windows(
    token_ids: Int[Tensor, "total"], *, length: int, batch_size: int, seed: int
) -> Callable[[int], Window]:
    """A function from the step to a batch of windows from random places; it depends on nothing but step and seed.

    Raises:
        ValueError: fewer than length + 1 tokens, a length or batch_size below 1.
    """
    require_length(token_ids, length, batch_size)
    offsets = torch.arange(length + 1)

    def batch(step: int) -> Window:
        starts = torch.randint(len(token_ids) - length, (batch_size, 1), generator=seeding.generator(seed, step))
        rows = token_ids[starts + offsets]
        return Window(rows[:, :-1], rows[:, 1:])

    return batch


def consecutive_windows(token_ids: Int[Tensor, "total"], *, length: int) -> Window:
    """All windows one after the other, each target once; what is left over at the end is dropped.

    Raises:
        ValueError: fewer than length + 1 tokens, a length below 1.
    """
    require_length(token_ids, length, 1)
    rows = (len(token_ids) - 1) // length
    return Window(token_ids[: rows * length].view(rows, length), token_ids[1 : rows * length + 1].view(rows, length))


def require_length(token_ids: Tensor, length: int, batch_size: int) -> None:
    """Raises ValueError unless one window at least fits into the text."""
    require_positive(length=length, batch_size=batch_size)
    if not isinstance(token_ids, Tensor) or token_ids.is_floating_point() or token_ids.dtype == torch.bool:
        kind = token_ids.dtype if isinstance(token_ids, Tensor) else type(token_ids).__name__
        raise ValueError(f"token_ids are {kind}; expected a tensor of integers")
    if token_ids.ndim != 1 or len(token_ids) <= length:
        raise ValueError(
            f"token_ids have shape {list(token_ids.shape)}; expected one dimension of more than length = {length}"
        )
