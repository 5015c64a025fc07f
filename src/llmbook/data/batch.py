"""Sentences of different length in one rectangle: padding, and the masks that say what is real.

Book: §1.2.1
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

IGNORED = -100  # a target that no loss counts; PyTorch's `ignore_index`


@dataclass(frozen=True)
class Batch:
    """Padded sentences; True in a mask is a real token. `targets` is `target_ids` one step ahead, −100 where padded."""

    source_ids: Int[Tensor, "batch source"]
    source_mask: Bool[Tensor, "batch source"]
    target_ids: Int[Tensor, "batch target"]
    target_mask: Bool[Tensor, "batch target"]
    targets: Int[Tensor, "batch target"]


def batch_of(
    source: Sequence[Sequence[int]],
    target: Sequence[Sequence[int]],
    *,
    pad_id: int,
    bos_id: int,
    eos_id: int,
    device: str | torch.device = "cpu",
) -> Batch:
    """One batch of pairs: the encoder reads x₁ … xₙ, the decoder <bos> y₁ … yₘ, and is to say y₁ … yₘ <eos>.

    Raises:
        ValueError: no pair, or not as many targets as sources.
    """
    if len(source) != len(target):
        raise ValueError(f"{len(source)} sources and {len(target)} targets; expected as many")
    return Batch(
        source_ids=padded(source, pad_id, device),
        source_mask=is_real(source, device),
        target_ids=padded([[bos_id, *ids] for ids in target], pad_id, device),
        target_mask=is_real([[bos_id, *ids] for ids in target], device),
        targets=padded([[*ids, eos_id] for ids in target], IGNORED, device),
    )


def padded(
    rows: Sequence[Sequence[int]], value: int, device: str | torch.device = "cpu"
) -> Int[Tensor, "batch longest"]:
    """The rows as one tensor, filled at the end with `value`.

    Raises:
        ValueError: no row.
    """
    if not rows:
        raise ValueError("no rows; expected at least one")
    longest = max(map(len, rows))
    filled = [[*row, *[value] * (longest - len(row))] for row in rows]
    return torch.tensor(filled, dtype=torch.long, device=device)


def is_real(rows: Sequence[Sequence[int]], device: str | torch.device = "cpu") -> Bool[Tensor, "batch longest"]:
    """Of the padded rows, which places hold a token: known by the lengths, for a token may have the id of padding."""
    return padded([[1] * len(row) for row in rows], 0, device).bool()
