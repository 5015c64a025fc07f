"""汉字 → 拼音 with one part of the Transformer, or of its training, taken away or exchanged at a time.

Book: §1.4.2
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor, nn

from llmbook.data import batches, collate, pinyin_task, polyphones
from llmbook.evaluation import pinyin_accuracy
from llmbook.generation import transcribe
from llmbook.models import Transformer, TransformerConfig
from llmbook.nn import BatchNorm, LayerNorm, MultiHeadAttention, RMSNorm, TransformerBlock
from llmbook.training import fit, teacher_forced, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    norm: str = "LayerNorm"
    norm_first: bool = True
    residual: bool = True
    scaled: bool = True
    causal: bool = True
    positions: str = "sinusoidal"
    num_heads: int = 4
    label_smoothing: float = 0.1
    warmup_steps: int = 100
    d_model: int = 128
    num_layers: int = 2
    dropout: float = 0.1
    batch_size: int = 64
    steps: int = 600
    clip: float = 1.0
    peak: float = 2e-3


CONFIGS = {
    "full": Config(),
    "no 1/√d": Config(scaled=False),
    "no residual": Config(residual=False),
    "no positions": Config(positions="none"),
    "one head": Config(num_heads=1),
    "post-norm": Config(norm_first=False),
    "BatchNorm": Config(norm="BatchNorm"),
    "RMSNorm": Config(norm="RMSNorm"),
    "leaking mask": Config(causal=False),
    "no label smoothing": Config(label_smoothing=0.0),
    "no warm-up": Config(warmup_steps=0),
    "post-norm, no warm-up": Config(norm_first=False, warmup_steps=0),
}
SEEDS = (0, 1, 2, 3, 4)
DATA = ("hsk/sentences.jsonl.gz",)
NORMS = {"LayerNorm": LayerNorm, "BatchNorm": BatchNorm, "RMSNorm": RMSNorm}


class Times(nn.Module):
    """x times a number."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


def without_residual(x: Tensor, norm: nn.Module, f: Callable[[Tensor], Tensor]) -> Tensor:
    return f(norm(x))


def all_true(query_len: int, key_len: int) -> Tensor:
    return torch.ones(query_len, key_len, dtype=torch.bool)


def operate(model: Transformer, config: Config) -> None:
    """Takes away or exchanges what the settings say."""
    for module in list(model.modules()):
        if isinstance(module, TransformerBlock) and not config.residual:
            module.sublayer = without_residual
        if isinstance(module, MultiHeadAttention) and not config.scaled:  # undoes the division by √d
            module.query = nn.Sequential(module.query, Times((module.d_model / module.num_heads) ** 0.5))
        if config.norm != "LayerNorm":
            for name, child in list(module.named_children()):
                if isinstance(child, LayerNorm):
                    setattr(module, name, NORMS[config.norm](config.d_model))


def train(config: Config, seed: int, *, fit: Callable = fit) -> Transformer:
    parts, characters, syllables = pinyin_task()
    torch.manual_seed(seed)
    sizes = TransformerConfig(
        syllables.vocab_size, source_vocab_size=characters.vocab_size, d_model=config.d_model,
        num_heads=config.num_heads, num_layers=config.num_layers, dropout=config.dropout, max_seq_len=64,
        norm_first=config.norm_first, positions=config.positions,
    )  # fmt: skip
    model = Transformer(sizes)
    operate(model, config)
    leak = nullcontext() if config.causal else patch("llmbook.models.transformer.causal_mask", all_true)
    with leak:  # in training; what is written later is not there to be seen
        fit(
            model,
            batches(parts.train, characters, syllables, batch_size=config.batch_size, seed=seed),
            loss=partial(teacher_forced, label_smoothing=config.label_smoothing),
            optimizer=torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98)),
            clip=config.clip,
            schedule=partial(
                warmup_cosine, peak=config.peak, warmup_steps=config.warmup_steps, total_steps=config.steps
            ),
            max_steps=config.steps,
            seed=seed,
        )
    return model.eval()


@torch.no_grad()
def evaluate(model: Transformer, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """On the test part, without label smoothing: the loss with the right prefix, and the shares right of the model's own."""
    parts, characters, syllables = pinyin_task()
    pairs = parts.test[:limit]
    own = pinyin_accuracy(transcribe(model, pairs, characters, syllables), pairs, polyphones=polyphones(parts.train))
    return {
        "loss": teacher_forced(model, collate(pairs, characters, syllables)).mean.item(),
        "training_loss": teacher_forced(model, collate(parts.train[:540], characters, syllables)).mean.item(),
        "syllables": own.syllables,
        "polyphones": own.polyphones,
        "sentences": own.sentences,
    }
