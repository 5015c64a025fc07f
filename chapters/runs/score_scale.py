"""汉字 → 拼音 without 1/√d: is it the size of the scores at the start that does the harm, or how far an update moves them?

Book: §1.2.2
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from llmbook.data import PinyinPair, batches, collate, pinyin_task, polyphones
from llmbook.evaluation import PinyinAccuracy, pinyin_accuracy
from llmbook.generation import transcribe
from llmbook.models import Transformer, TransformerConfig
from llmbook.nn import MultiHeadAttention
from llmbook.training import fit, teacher_forced, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    """Without the division by √d: a small start makes the scores as small at first as with it; small steps make an update move them as
    little.
    """

    scaled: bool = False
    small_start: bool = False
    small_steps: bool = False
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
    "1/√d": Config(scaled=True),
    "no 1/√d": Config(),
    "no 1/√d, small start": Config(small_start=True),
    "no 1/√d, small steps": Config(small_steps=True),
    "no 1/√d, small start and steps": Config(small_start=True, small_steps=True),
}
SEEDS = (0, 1, 2)
RATES = (3e-4, 8e-4, 2e-3, 5e-3, 1.2e-2)
SWEEP_SEEDS = (10,)
DATA = ("hsk/sentences.jsonl.gz",)


class Times(nn.Module):
    """x times a number."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class AdamWByGroup(torch.optim.AdamW):
    """Each group's rate is the schedule's times the group's `factor`."""

    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"] *= group["factor"]
        return super().step(closure)


def undo_the_division(model: Transformer, config: Config) -> None:
    """Queries √d times as large, after W_Q; and with a small start W_Q and W_K smaller by d^¼ each."""
    for module in list(model.modules()):
        if isinstance(module, MultiHeadAttention):
            width = module.d_model / module.num_heads
            if config.small_start:
                with torch.no_grad():
                    module.query.weight.mul_(width**-0.25)
                    module.key.weight.mul_(width**-0.25)
            module.query = nn.Sequential(module.query, Times(width**0.5))


def optimizer_of(model: Transformer, config: Config) -> torch.optim.Optimizer:
    """AdamW. At the start an update moves the scores √d times as far as with the division, or, with small steps, just as far.

    A change of W_Q moves q · k by its own size times that of k, which a small start makes d^¼ times smaller.
    """
    width = config.d_model / config.num_heads
    attentions = [module for module in model.modules() if isinstance(module, MultiHeadAttention) and not config.scaled]
    moved = [one for module in attentions for part in (module.query, module.key) for one in part.parameters()]
    rest = [one for one in model.parameters() if all(one is not other for other in moved)]
    factor = (width**0.25 if config.small_start else 1.0) * (width**-0.5 if config.small_steps else 1.0)
    groups = [{"params": rest, "factor": 1.0}, *([{"params": moved, "factor": factor}] if moved else [])]
    return AdamWByGroup(groups, betas=(0.9, 0.98))


def train(config: Config, seed: int, *, fit: Callable = fit) -> Transformer:
    parts, characters, syllables = pinyin_task()
    torch.manual_seed(seed)
    sizes = TransformerConfig(
        syllables.vocab_size, source_vocab_size=characters.vocab_size, d_model=config.d_model,
        num_heads=config.num_heads, num_layers=config.num_layers, dropout=config.dropout, max_seq_len=64,
        norm_first=True,
    )  # fmt: skip
    model = Transformer(sizes)
    if not config.scaled:
        undo_the_division(model, config)
    fit(
        model,
        batches(parts.train, characters, syllables, batch_size=config.batch_size, seed=seed),
        loss=partial(teacher_forced, label_smoothing=config.label_smoothing),
        optimizer=optimizer_of(model, config),
        clip=config.clip,
        schedule=partial(warmup_cosine, peak=config.peak, warmup_steps=config.warmup_steps, total_steps=config.steps),
        max_steps=config.steps,
        seed=seed,
    )
    return model.eval()


def accuracy(model: Transformer, pairs: Sequence[PinyinPair]) -> PinyinAccuracy:
    """Of the model's own transcriptions."""
    parts, characters, syllables = pinyin_task()
    return pinyin_accuracy(transcribe(model, pairs, characters, syllables), pairs, polyphones=polyphones(parts.train))


@torch.no_grad()
def evaluate(model: Transformer, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """On the test part, without label smoothing: the loss with the right prefix, and the shares right of the model's own."""
    parts, characters, syllables = pinyin_task()
    pairs = parts.test[:limit]
    own = accuracy(model, pairs)
    return {
        "loss": teacher_forced(model, collate(pairs, characters, syllables)).mean.item(),
        "training_loss": teacher_forced(model, collate(parts.train[:540], characters, syllables)).mean.item(),
        "syllables": own.syllables,
        "polyphones": own.polyphones,
    }


@torch.no_grad()
def validate(model: Transformer, config: Config, *, limit: int | None = None) -> float:
    """The percentage of the validation part's syllables that the model's own transcription gets wrong."""
    return 100 - accuracy(model, pinyin_task().parts.validation[:limit]).syllables
