"""English help pages as one long row of tokens a part, for language models.

Book: §1.1.2
"""

from functools import cache
from itertools import groupby

import torch
from jaxtyping import Int
from torch import Tensor

from llmbook.assets import vendored
from llmbook.data.splits import Split
from llmbook.data.translations import TranslationPair, translation_pairs
from llmbook.tokenizers import ByteBPE


@cache
def help_pages() -> tuple[Split[Int[Tensor, "total"]], ByteBPE]:
    """The paragraphs of LibreOffice's help in order, page after page, and the tokenizer of the ids.

    Pages are separated by an empty line. Train, validation and test have no page in common. The tokenizer is the translator's.
    """
    tokenizer = ByteBPE.load(vendored("weights/translator/tokenizer.json"))

    def ids(pairs: list[TranslationPair]) -> Tensor:
        texts = ["\n".join(pair.en for pair in page) for _, page in groupby(pairs, key=lambda pair: pair.page)]
        return torch.tensor(tokenizer.encode("\n\n".join(texts)))

    pairs = translation_pairs()
    return Split(ids(pairs.train), ids(pairs.validation), ids(pairs.test)), tokenizer
