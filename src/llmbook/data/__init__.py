"""From files to sentences to batches."""

from llmbook.assets import manifest, vendored
from llmbook.data.batch import IGNORED, Batch, batch_of, padded
from llmbook.data.corpora import load_corpus
from llmbook.data.fetch import fetched
from llmbook.data.help_pages import help_pages
from llmbook.data.images import Emoji, load_emoji
from llmbook.data.pinyin_task import PinyinTask, pinyin_task
from llmbook.data.recall import Recall, recall_batches
from llmbook.data.sentence_pairs import (
    PinyinPair,
    align,
    batches,
    collate,
    commonest_readings,
    pinyin_pairs,
    polyphones,
)
from llmbook.data.song_lyrics import SongLyrics, song_lyrics
from llmbook.data.splits import Split, part_of, split_by_document
from llmbook.data.translation_batches import collate_ids, translation_batches
from llmbook.data.translation_mixture import everyday_pairs, translation_mixture
from llmbook.data.translations import TranslationPair, translation_pairs
from llmbook.data.windows import Window, consecutive_windows, random_windows

__all__ = [
    "IGNORED",
    "Batch",
    "Emoji",
    "PinyinPair",
    "PinyinTask",
    "Recall",
    "SongLyrics",
    "Split",
    "TranslationPair",
    "Window",
    "align",
    "batch_of",
    "batches",
    "collate",
    "collate_ids",
    "commonest_readings",
    "consecutive_windows",
    "everyday_pairs",
    "fetched",
    "help_pages",
    "load_corpus",
    "load_emoji",
    "manifest",
    "padded",
    "part_of",
    "pinyin_pairs",
    "pinyin_task",
    "polyphones",
    "random_windows",
    "recall_batches",
    "song_lyrics",
    "split_by_document",
    "translation_batches",
    "translation_mixture",
    "translation_pairs",
    "vendored",
]
