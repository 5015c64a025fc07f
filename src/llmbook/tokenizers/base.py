"""What every tokenizer can do.

Book: §4.2.1
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from llmbook.checks import is_integer


@runtime_checkable
class Tokenizer(Protocol):
    """Text to token ids and back; made by the class method `train` of each kind, or by `load`."""

    @property
    def vocab_size(self) -> int:
        """How many ids there are: 0 … vocab_size − 1."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text; nothing is added. What is no text is a ValueError, a lone surrogate in it too."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids; an unknown id is a ValueError, and what is no integer."""

    def save(self, path: Path | str) -> None:
        """Writes the tokenizer to one JSON file."""

    @classmethod
    def load(cls, path: Path | str) -> "Tokenizer":
        """Reads what `save` wrote; a ValueError when the file holds something else."""


def require_text(text: str) -> None:
    """Raises ValueError unless it is a string of characters: a lone surrogate, half of a pair of UTF-16, is none and has no bytes."""
    if not isinstance(text, str):
        raise ValueError(f"expected a text, which is a str; got {type(text).__name__} {text!r:.40}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        place = error.start
        raise ValueError(
            f"the text has a lone surrogate, {text[place]!r}, at place {place}; expected characters"
        ) from None


def require_ids(ids: Iterable[int], vocab_size: int) -> list[int]:
    """The ids as a list.

    Raises:
        ValueError: something else than ids of tokens, of which it names the first few.
    """
    expected = f"expected a list of ids, integers in 0 … {vocab_size - 1}"
    if isinstance(ids, str | bytes) or not hasattr(ids, "__iter__"):
        raise ValueError(f"{expected}; got a {type(ids).__name__}")
    given = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    unknown = [id_ for id_ in given if (type(id_) is not int and not is_integer(id_)) or not 0 <= id_ < vocab_size]
    if unknown:
        raise ValueError(f"{expected}; got {unknown[:5]}")
    return given
