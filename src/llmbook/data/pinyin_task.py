"""汉字 → 拼音 as a task: the sentences in three parts, and the two vocabularies of the training part.

Book: §1.2.1
"""

from functools import cache
from typing import NamedTuple

from llmbook.data.sentence_pairs import PinyinPair, pinyin_pairs
from llmbook.data.splits import Split
from llmbook.tokenizers import Characters


class PinyinTask(NamedTuple):
    """What every experiment on 汉字 → 拼音 starts from."""

    parts: Split[PinyinPair]
    characters: Characters
    syllables: Characters


@cache
def pinyin_task() -> PinyinTask:
    """The task, read once."""
    parts = pinyin_pairs()
    characters = Characters.train([pair.characters for pair in parts.train])
    return PinyinTask(parts, characters, Characters.train([pair.syllables for pair in parts.train]))
