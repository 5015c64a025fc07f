"""A corpus in three parts that share no document and nothing that is almost the same.

Book: §1.2.1
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from llmbook.checks import require_iterable
from llmbook.data.near_duplicates import Text, near_duplicates

TEST_PERCENT, VALIDATION_PERCENT = 12, 8
Row = TypeVar("Row")


@dataclass(frozen=True)
class Split(Generic[Row]):
    """The three parts of a corpus."""

    train: tuple[Row, ...]
    validation: tuple[Row, ...]
    test: tuple[Row, ...]


def split_by_document(
    rows: Iterable[Row],
    *,
    document: Callable[[Row], str],
    text: Callable[[Row], Text],
    also: Callable[[Row], str] | None = None,
) -> Split[Row]:
    """The rows in three parts, about 80, 8 and 12 percent of the documents; within a part they stay in order.

    The part is a hash of the document, so it depends on no order and no seed. A training row is dropped when its text is a
    near-duplicate of one in another part (Jaccard similarity of their sets of neighbouring pairs at least 0.5), a validation row
    when it is one of a test row.

    Args:
        document: the name of a row's document: a page, an author, a chapter.
        text: what is compared, such as `letters` of a sentence or, where sentences are long, `words` of a paragraph: the letters
            of any two English paragraphs form much the same pairs.
        also: a second text, which must not be equal to one in another part: the translation.

    Raises:
        ValueError: one string in place of several rows.
    """
    require_iterable("rows", rows)
    parts: dict[str, list[Row]] = {"train": [], "validation": [], "test": []}
    for row in rows:
        parts[part_of(document(row))].append(row)
    test = parts["test"]
    validation = apart_from(parts["validation"], test, text=text, also=also)
    train = apart_from(parts["train"], test + validation, text=text, also=also)
    return Split(tuple(train), tuple(validation), tuple(test))


def part_of(document: str) -> str:
    """ "train", "validation" or "test", by a hash of the document's name."""
    percent = int.from_bytes(hashlib.sha256(document.encode()).digest()[:8], "big") % 100
    if percent < TEST_PERCENT:
        return "test"
    return "validation" if percent < TEST_PERCENT + VALIDATION_PERCENT else "train"


def apart_from(
    rows: Sequence[Row],
    others: Sequence[Row],
    *,
    text: Callable[[Row], Text],
    also: Callable[[Row], str] | None = None,
) -> list[Row]:
    """Those of `rows` whose text resembles none of `others`, and whose second text, if there is one, equals none."""
    resembling = near_duplicates(list(map(text, rows)), map(text, others))
    kept = [row for row in rows if text(row) not in resembling]
    if also is None:
        return kept
    known = set(map(also, others))
    return [row for row in kept if also(row) not in known]


def letters(text: str) -> str:
    """The text's letters, Chinese characters and digits, in lower case."""
    return "".join(character for character in text if character.isalnum()).casefold()


def words(text: str) -> tuple[str, ...]:
    """The text's words, without punctuation and in lower case."""
    return tuple(word for word in map(letters, text.replace("—", " ").split()) if word)
