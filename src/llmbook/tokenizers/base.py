"""What every tokenizer can do.

Book: §4.2.1
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class Tokenizer(Protocol):
    """Text to token ids and back; made by the class method `train` of each kind, or by `load`."""

    @property
    def vocab_size(self) -> int:
        """How many ids there are: 0 … vocab_size − 1."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text; nothing is added."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids; an unknown id is a ValueError."""

    def save(self, path: Path | str) -> None:
        """Writes the tokenizer to one JSON file."""

    @classmethod
    def load(cls, path: Path | str) -> "Tokenizer":
        """Reads what `save` wrote; a ValueError when the file holds something else."""


def require_ids(ids: Sequence[int], vocab_size: int) -> None:
    """Raises ValueError, with the first few wrong ones, unless all ids are those of tokens."""
    unknown = [id_ for id_ in ids if not 0 <= id_ < vocab_size]
    if unknown:
        raise ValueError(f"ids must lie in 0 … {vocab_size - 1}; got {unknown[:5]}")
