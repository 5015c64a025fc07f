"""With the same number of parameters, does 汉字 → 拼音 come out better with more heads?

Book: §1.2.3
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from llmbook.data import batches, collate, pinyin_task, polyphones
from llmbook.evaluation import pinyin_accuracy
from llmbook.generation import transcribe
from llmbook.models import Transformer, TransformerConfig
from llmbook.training import fit, teacher_forced, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    num_heads: int
    d_model: int = 128
    num_layers: int = 2
    dropout: float = 0.1
    batch_size: int = 64
    steps: int = 600
    clip: float = 1.0
    peak: float = 2e-3
    warmup_steps: int = 100


CONFIGS = {
    "1 head": Config(num_heads=1),
    "2 heads": Config(num_heads=2),
    "4 heads": Config(num_heads=4),
    "8 heads": Config(num_heads=8),
}
SEEDS = (0, 1, 2, 3, 4)
DATA = ("hsk/sentences.jsonl.gz",)


def train(config: Config, seed: int, *, fit: Callable = fit) -> Transformer:
    parts, characters, syllables = pinyin_task()
    torch.manual_seed(seed)
    sizes = TransformerConfig(
        syllables.vocab_size,
        source_vocab_size=characters.vocab_size,
        d_model=config.d_model,
        num_heads=config.num_heads,
        num_layers=config.num_layers,
        dropout=config.dropout,
        max_seq_len=64,
        norm_first=True,
    )
    model = Transformer(sizes)
    fit(
        model,
        batches(parts.train, characters, syllables, batch_size=config.batch_size, seed=seed),
        loss=teacher_forced,
        optimizer=torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98)),
        clip=config.clip,
        schedule=partial(warmup_cosine, peak=config.peak, warmup_steps=config.warmup_steps, total_steps=config.steps),
        max_steps=config.steps,
        seed=seed,
    )
    return model.eval()


@torch.no_grad()
def evaluate(model: Transformer, config: Config, *, limit: int | None = None) -> dict[str, float | list[float]]:
    """On the test part: the loss, and the shares of right syllables, polyphones and sentences.

    "forced_polyphones" is with the right prefix (teacher forcing), the others are written by the model itself.
    """
    parts, characters, syllables = pinyin_task()
    pairs, ambiguous = parts.test[:limit], polyphones(parts.train)
    batch = collate(pairs, characters, syllables)
    said = model(batch.source_ids, batch.target_ids, source_mask=batch.source_mask).argmax(dim=-1).tolist()
    forced = [syllables.tokens(ids[: len(pair.syllables)]) for ids, pair in zip(said, pairs, strict=True)]
    written = transcribe(model, pairs, characters, syllables)
    own, given = (pinyin_accuracy(text, pairs, polyphones=ambiguous) for text in (written, forced))
    return {
        "loss": teacher_forced(model, batch).mean.item(),
        "syllables": own.syllables,
        "polyphones": own.polyphones,
        "sentences": own.sentences,
        "forced_syllables": given.syllables,
        "forced_polyphones": given.polyphones,
    }
