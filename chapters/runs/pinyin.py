"""The reader of Chinese that answers in the page: characters in, pinyin out.

Book: §1.2.2
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from llmbook.data import batches, collate, pinyin_task, polyphones
from llmbook.evaluation import pinyin_accuracy
from llmbook.generation import Transcriber, save_transcriber, transcribe
from llmbook.models import Transformer, TransformerConfig
from llmbook.training import fit, teacher_forced, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    d_model: int = 128
    num_heads: int = 4
    num_layers: int = 2
    dropout: float = 0.2
    batch_size: int = 64
    steps: int = 2000
    peak: float = 2e-3
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0
    label_smoothing: float = 0.1


CONFIGS = {"pinyin": Config()}
SEEDS = (0,)
DATA = ("hsk/sentences.jsonl.gz",)


def train(config: Config, seed: int, *, fit: Callable = fit) -> Transcriber:
    parts, characters, syllables = pinyin_task()
    torch.manual_seed(seed)
    sizes = TransformerConfig(
        syllables.vocab_size, source_vocab_size=characters.vocab_size, d_model=config.d_model,
        num_heads=config.num_heads, num_layers=config.num_layers, dropout=config.dropout,
        max_seq_len=64, norm_first=True,
    )  # fmt: skip
    model = Transformer(sizes)
    fit(
        model,
        batches(parts.train, characters, syllables, batch_size=config.batch_size, seed=seed),
        loss=partial(teacher_forced, label_smoothing=config.label_smoothing),
        optimizer=torch.optim.AdamW(model.parameters(), betas=config.betas),
        clip=config.clip,
        schedule=partial(warmup_cosine, peak=config.peak, warmup_steps=config.warmup_steps, total_steps=config.steps),
        max_steps=config.steps,
        seed=seed,
    )
    with torch.no_grad():
        for parameter in model.parameters():  # as it is shipped
            parameter.copy_(parameter.half())
    return Transcriber(model.eval(), characters, syllables)


def export(transcriber: Transcriber, config: Config, folder: Path) -> None:
    save_transcriber(folder, transcriber)


@torch.no_grad()
def evaluate(transcriber: Transcriber, config: Config, *, limit: int | None = None) -> dict[str, float]:
    parts = pinyin_task().parts
    pairs = list(parts.test[:limit])
    model, characters, syllables = transcriber.model, transcriber.characters, transcriber.syllables
    written = transcribe(model, pairs, characters, syllables)
    right = pinyin_accuracy(written, pairs, polyphones=polyphones(parts.train))
    return {
        "loss": teacher_forced(model, collate(pairs, characters, syllables)).mean.item(),
        "syllables": right.syllables,
        "polyphones": right.polyphones,
        "sentences": right.sentences,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
