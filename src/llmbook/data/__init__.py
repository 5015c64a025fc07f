"""From files to sentences to batches."""

from llmbook.data.assets import manifest, vendored
from llmbook.data.corpora import load_corpus
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

__all__ = [
    "Batch",
    "PinyinPair",
    "Split",
    "align",
    "batches",
    "collate",
    "commonest_readings",
    "load_corpus",
    "manifest",
    "pinyin_pairs",
    "polyphones",
    "vendored",
]
