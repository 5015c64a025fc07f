"""中文 → English: paragraphs of LibreOffice's help, each with its translation, in three parts.

A domain of its own, with a style and terms that a small model can learn in minutes. Its pages repeat each other, so pages are
what is split, and what resembles a paragraph of another part is dropped.

Book: §1.2.3
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from llmbook.data.corpora import load_corpus
from llmbook.data.splits import Split, apart_from, letters, split_by_document


@dataclass(frozen=True)
class TranslationPair:
    """A paragraph in Chinese and English, the page it is from and its id there."""

    zh: str
    en: str
    page: str
    paragraph: str


@cache
def translation_pairs() -> Split[TranslationPair]:
    """The paragraphs of LibreOffice's help in three parts, about 80, 8 and 12 percent of the pages.

    The part is a hash of the page, so it depends on no order and no seed. A paragraph that several pages have counts once, for the
    first. A training pair is dropped when its Chinese is a near-duplicate of one in another part (Jaccard similarity of their sets
    of character pairs at least 0.5), or its English the same but for case and punctuation; a validation pair when that holds for
    a test pair.
    """
    unique: dict[tuple[str, str], TranslationPair] = {}
    for row in load_corpus("libreoffice_help"):
        pair = TranslationPair(row["zh"], row["en"], row["page"], row["paragraph"])
        unique.setdefault((pair.zh, pair.en), pair)
    return split_by_document(unique.values(), document=lambda pair: pair.page, text=chinese, also=english)


def without_near_duplicates(
    pairs: Sequence[TranslationPair], others: Sequence[TranslationPair]
) -> list[TranslationPair]:
    """Those of `pairs` that resemble none of `others` in Chinese, nor equal one in English."""
    return apart_from(pairs, others, text=chinese, also=english)


def chinese(pair: TranslationPair) -> str:
    """The Chinese side without punctuation."""
    return letters(pair.zh)


def english(pair: TranslationPair) -> str:
    """The English side without case and punctuation."""
    return letters(pair.en)
