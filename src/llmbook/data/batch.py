"""Sentences of different length in one rectangle: padding, and the masks that say what is real.

Book: §1.2.1
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from llmbook.checks import is_integer, require_at_least, require_list

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
    source: Iterable[Iterable[int]],
    target: Iterable[Iterable[int]],
    *,
    pad_id: int,
    bos_id: int,
    eos_id: int,
    device: str | torch.device = "cpu",
) -> Batch:
    """One batch of pairs: the encoder reads x₁ … xₙ, the decoder <bos> y₁ … yₘ, and is to say y₁ … yₘ <eos>.

    Raises:
        ValueError: no pair, not as many targets as sources, a string in place of several, or something else than ids. Iterators are as
            good as lists.
    """
    source, target = require_rows("source", source), require_rows("target", target)
    require_at_least(0, pad_id=pad_id, bos_id=bos_id, eos_id=eos_id)
    if len(source) != len(target):
        raise ValueError(f"{len(source)} sources and {len(target)} targets; expected as many")
    return Batch(
        source_ids=filled(source, pad_id, device),
        source_mask=is_real(source, device),
        target_ids=filled([[bos_id, *ids] for ids in target], pad_id, device),
        target_mask=is_real([[bos_id, *ids] for ids in target], device),
        targets=filled([[*ids, eos_id] for ids in target], IGNORED, device),
    )


def padded(
    rows: Iterable[Iterable[int]], value: int, device: str | torch.device = "cpu"
) -> Int[Tensor, "batch longest"]:
    """The rows as one tensor, filled at the end with `value`.

    Raises:
        ValueError: no row, a string in place of several, or something else than integers.
    """
    rows = require_rows("rows", rows)
    if not is_integer(value):
        raise ValueError(f"value is {value!r}; expected an integer")
    return filled(rows, value, device)


def filled(rows: list[list[int]], value: int, device: str | torch.device) -> Int[Tensor, "batch longest"]:
    """`padded`, of rows that are known to be lists of integers."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows], dtype=torch.long, device=device)


def is_real(rows: list[list[int]], device: str | torch.device) -> Bool[Tensor, "batch longest"]:
    """Of the padded rows, which places hold a token: known by the lengths, for a token may have the id of padding."""
    return filled([[1] * len(row) for row in rows], 0, device).bool()


def require_rows(name: str, rows: Iterable[Iterable[int]]) -> list[list[int]]:
    """Rows of ids as lists, of iterators, tensors and arrays too.

    Raises:
        ValueError: no row, a string in place of several, or something else than integers.
    """
    rows = [row.tolist() if hasattr(row, "tolist") else row for row in require_list(name, rows)]
    rows = [require_list(f"{name}[{number}]", row) for number, row in enumerate(rows)]
    if not rows:
        raise ValueError(f"no {name}; expected at least one row")
    for number, row in enumerate(rows):
        wrong = [id_ for id_ in row if type(id_) is not int and not is_integer(id_)]
        if wrong:
            raise ValueError(f"{name}[{number}] has {wrong[0]!r}; expected integers")
    return rows
