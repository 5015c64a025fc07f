"""A trained reader of Chinese: characters in, pinyin out.

Book: §1.2.2
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from llmbook.checks import require_positive
from llmbook.data import PinyinPair, collate, vendored
from llmbook.data.sentence_pairs import require_pairs
from llmbook.generation.generate import generate
from llmbook.generation.stored import FILES, store_transformer, stored_transformer
from llmbook.models import Transformer
from llmbook.tokenizers import Characters

TOKENIZERS = ("characters.json", "syllables.json")


@dataclass(frozen=True)
class Transcriber:
    """Chinese characters to syllables with tone marks; `transcribe` reads with it."""

    model: Transformer
    characters: Characters
    syllables: Characters


def transcribe(
    model: Transformer,
    pairs: Iterable[PinyinPair],
    source_tokenizer: Characters,
    target_tokenizer: Characters,
    *,
    batch_size: int = 256,
    use_cache: bool = True,
) -> list[tuple[str, ...]]:
    """The model's own syllables for the characters of each pair, decoded greedily; the pairs' syllables are not looked at.

    Without the cache the whole prefix is computed again for each syllable, with the same outcome.

    Raises:
        ValueError: something else than pairs, or batch_size < 1.
    """
    pairs = require_pairs(pairs)
    require_positive(batch_size=batch_size)
    end = target_tokenizer.eos_id
    predictions = []
    for start in range(0, len(pairs), batch_size):
        batch = collate(pairs[start : start + batch_size], source_tokenizer, target_tokenizer)
        with torch.no_grad():
            decoder = model.conditioned(batch.source_ids, source_mask=batch.source_mask)
        ids = generate(
            decoder,
            torch.full_like(batch.source_ids[:, :1], target_tokenizer.bos_id),
            max_new_tokens=model.config.max_seq_len - 1,
            temperature=0.0,
            eos_id=end,
            use_cache=use_cache,
        )
        for row in ids[:, 1:].tolist():
            spoken = row[: row.index(end)] if end in row else row
            predictions.append(tuple(target_tokenizer.tokens(spoken)))
    return predictions


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
