"""From files to sentences to batches."""

from llmbook.data.assets import manifest, vendored
from llmbook.data.corpora import load_corpus
from llmbook.data.fetch import fetched
from llmbook.data.sentence_pairs import (
    Batch,
    PinyinPair,
    Split,
    align,
    batches,
    collate,
    commonest_readings,
    pinyin_pairs,
    polyphones,
)
from llmbook.data.translations import TranslationPair, translation_pairs

__all__ = [
    "Batch",
    "PinyinPair",
    "Split",
    "TranslationPair",
    "align",
    "batches",
    "collate",
    "commonest_readings",
    "fetched",
    "load_corpus",
    "manifest",
    "pinyin_pairs",
    "polyphones",
    "translation_pairs",
    "vendored",
]
