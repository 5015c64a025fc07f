"""A trained reader of Chinese: characters in, pinyin out.

Book: §1.2.2
"""

from dataclasses import dataclass
from pathlib import Path

from llmbook.data import vendored
from llmbook.generation.stored import FILES, store_transformer, stored_transformer
from llmbook.models import Transformer
from llmbook.tokenizers import Characters

TOKENIZERS = ("characters.json", "syllables.json")


@dataclass(frozen=True)
class Transcriber:
    """Chinese characters to syllables with tone marks; `evaluation.transcribe` reads with it."""

    model: Transformer
    characters: Characters
    syllables: Characters


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
