"""From files to sentences to batches."""

from llmbook.data.assets import manifest, vendored
from llmbook.data.corpora import load_corpus
from llmbook.data.fetch import fetched
from llmbook.data.images import Emoji, load_emoji
from llmbook.data.sentence_pairs import (
    Batch,
    PinyinPair,
    align,
    batches,
    collate,
    commonest_readings,
    pinyin_pairs,
    polyphones,
)
from llmbook.data.splits import Split, part_of, split_by_document
from llmbook.data.translation_batches import collate_ids, translation_batches
from llmbook.data.translation_mixture import everyday_pairs, translation_mixture
from llmbook.data.translations import TranslationPair, translation_pairs

__all__ = [
    "Batch",
    "Emoji",
    "PinyinPair",
    "Split",
    "TranslationPair",
    "align",
    "batches",
    "collate",
    "collate_ids",
    "commonest_readings",
    "everyday_pairs",
    "fetched",
    "load_corpus",
    "load_emoji",
    "manifest",
    "part_of",
    "pinyin_pairs",
    "polyphones",
    "split_by_document",
    "translation_batches",
    "translation_mixture",
    "translation_pairs",
    "vendored",
]
