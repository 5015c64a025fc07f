"""English help pages as one long row of tokens a part, for language models.

Book: §1.1.2
"""

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from llmbook.assets import vendored
from llmbook.data.translations import TranslationPair, translation_pairs
from llmbook.tokenizers import ByteBPE


class TextParts(NamedTuple):
    """A row of ids for each part."""

    train: Int[Tensor, "train"]
    validation: Int[Tensor, "validation"]
    test: Int[Tensor, "test"]


@cache
def help_pages() -> tuple[TextParts, ByteBPE]:
    """The paragraphs of LibreOffice's help in order, page after page, and the tokenizer of the ids.

    Pages are separated by an empty line. Train, validation and test have no page in common. The tokenizer is the translator's.
    """
    tokenizer = ByteBPE.load(vendored("weights/translator/tokenizer.json"))

    def ids(pairs: Sequence[TranslationPair]) -> Tensor:
        texts = ["\n".join(pair.en for pair in page) for _, page in groupby(pairs, key=lambda pair: pair.page)]
        return torch.tensor(tokenizer.encode("\n\n".join(texts)))

    pairs = translation_pairs()
    return TextParts(ids(pairs.train), ids(pairs.validation), ids(pairs.test)), tokenizer
