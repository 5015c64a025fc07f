"""宋词 as one long text for language models, character by character.

Book: §1.1.2
"""

from collections import Counter
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from llmbook.data.corpora import load_corpus
from llmbook.data.splits import letters, split_by_document
from llmbook.tokenizers import Characters

RAREST = 3  # a character that the training part has less often is <unk>


class SongLyrics(NamedTuple):
    """The three parts, each one long row of ids; every poem starts with <bos>, lines end in a line break."""

    train: Int[Tensor, "train"]
    validation: Int[Tensor, "validation"]
    test: Int[Tensor, "test"]
    characters: Characters


@cache
def song_lyrics() -> SongLyrics:
    """The 宋词 of the corpus "poetry", split by poem; a poem that resembles one of another part is dropped from training."""
    poems = [row["text"] for row in load_corpus("poetry") if row["collection"] == "宋词"]
    parts = split_by_document(poems, document=str, text=letters)
    counts = Counter("".join(parts.train))
    known = [[character] for character, count in counts.items() if count >= RAREST]
    characters = Characters.train(known)

    def ids(part: tuple[str, ...]) -> Tensor:
        return torch.tensor([id_ for poem in part for id_ in (characters.bos_id, *characters.encode(poem))])

    return SongLyrics(ids(parts.train), ids(parts.validation), ids(parts.test), characters)
