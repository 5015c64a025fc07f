"""A trained reader of Chinese: characters in, pinyin out.

Book: §1.2.2
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from llmbook.data import PinyinPair, collate, vendored
from llmbook.generation.generate import generate
from llmbook.generation.stored import FILES, store_transformer, stored_transformer
from llmbook.models import Transformer
from llmbook.tokenizers import Characters

TOKENIZERS = ("characters.json", "syllables.json")


@dataclass(frozen=True)
class Transcriber:
    """Chinese characters to syllables with tone marks."""

    model: Transformer
    characters: Characters
    syllables: Characters

    @torch.no_grad()
    def transcribe(self, texts: Sequence[str], *, max_new_tokens: int = 60) -> list[list[str]]:
        """The syllables of each text, decoded greedily; a character that training never saw is read as unknown.

        Raises:
            ValueError: one string in place of a list, an empty text, one that is longer than the model's sequences.
        """
        if isinstance(texts, str) or not all(texts):
            raise ValueError(f"expected a list of texts, none of them empty; got {texts!r:.40}")
        if not texts:
            return []
        batch = collate([PinyinPair(tuple(text), ()) for text in texts], self.characters, self.syllables)
        decoder = self.model.conditioned(batch.source_ids, source_mask=batch.source_mask)
        end = self.syllables.eos_id
        ids = generate(decoder, batch.target_ids, max_new_tokens=max_new_tokens, temperature=0.0, eos_id=end)
        rows = [row[: row.index(end)] if end in row else row for row in ids[:, 1:].tolist()]
        return [self.syllables.tokens(row) for row in rows]


def save_transcriber(folder: Path, transcriber: Transcriber) -> None:
    """Writes weights (in float16), sizes and both vocabularies."""
    store_transformer(folder, transcriber.model)
    for name, tokenizer in zip(TOKENIZERS, (transcriber.characters, transcriber.syllables), strict=True):
        tokenizer.save(folder / name)


def load_transcriber(folder: Path | None = None) -> Transcriber:
    """The book's transcriber, or that of another folder.

    Raises:
        ValueError: a file is missing, changed, cut short, or holds tensors of other names or shapes; the message says which.
    """
    weights, config, *tokenizers = (
        vendored(f"weights/pinyin/{name}") if folder is None else folder / name for name in (*FILES, *TOKENIZERS)
    )
    model = stored_transformer(weights, config)
    try:
        characters, syllables = map(Characters.load, tokenizers)
    except OSError as error:
        raise ValueError(f"{weights.parent} lacks a vocabulary: {error}") from error
    return Transcriber(model, characters, syllables)
