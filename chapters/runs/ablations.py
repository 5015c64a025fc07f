"""汉字 → 拼音 with one part of the Transformer, or of its training, taken away or exchanged at a time, each at its own best rate.

Book: §1.4.2
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from unittest.mock import patch

import torch
from torch import Tensor, nn

from llmbook.data import PinyinPair, batches, collate, pinyin_task, polyphones
from llmbook.evaluation import PinyinAccuracy, pinyin_accuracy
from llmbook.generation import transcribe
from llmbook.models import Transformer, TransformerConfig
from llmbook.nn import BatchNorm, FeedForward, LayerNorm, MultiHeadAttention, RMSNorm, TransformerBlock
from llmbook.training import fit, teacher_forced, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    """`scaled=False` undoes the division by √d; `start` and `steps` then say whether the scores at first, and what an update moves them
    by, are nevertheless as small as with it.
    """

    norm: str = "LayerNorm"
    norm_first: bool = True
    residual: bool = True
    feed_forward: str = "relu"
    cross_attention: bool = True
    scaled: bool = True
    start: bool = False
    steps_divided: bool = False
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
    "no 1/√d, small start": Config(scaled=False, start=True),
    "no 1/√d, small steps": Config(scaled=False, steps_divided=True),
    "no 1/√d, small start and steps": Config(scaled=False, start=True, steps_divided=True),
    "no residual": Config(residual=False),
    "no positions": Config(positions="none"),
    "one head": Config(num_heads=1),
    "no feed-forward": Config(feed_forward="none"),
    "no feed-forward, 5 layers": Config(feed_forward="none", num_layers=5),
    "gelu": Config(feed_forward="gelu"),
    "no cross-attention": Config(cross_attention=False),
    "post-norm": Config(norm_first=False),
    "BatchNorm": Config(norm="BatchNorm"),
    "RMSNorm": Config(norm="RMSNorm"),
    "leaking mask": Config(causal=False),
    "no label smoothing": Config(label_smoothing=0.0),
    "no warm-up": Config(warmup_steps=0),
    "post-norm, no warm-up": Config(norm_first=False, warmup_steps=0),
}
SEEDS = (0, 1, 2, 3, 4)
RATES = (8e-4, 2e-3, 5e-3)
SWEEP_SEEDS = (10, 11)
DATA = ("hsk/sentences.jsonl.gz",)


class Times(nn.Module):
    """x times a number."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class MaskedBatchNorm(BatchNorm):
    """Keeps padding out of the statistics: `mask` is that of the batch in hand."""

    mask: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x, mask=self.mask if self.training else None)


class AdamWByGroup(torch.optim.AdamW):
    """Each group's rate is the schedule's times the group's `factor`."""

    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"] *= group["factor"]
        return super().step(closure)


NORMS = {"LayerNorm": LayerNorm, "BatchNorm": MaskedBatchNorm, "RMSNorm": RMSNorm}


def all_true(query_len: int, key_len: int) -> Tensor:
    return torch.ones(query_len, key_len, dtype=torch.bool)


def sublayer(
    block: TransformerBlock, config: Config, x: Tensor, norm: nn.Module, f: Callable[[Tensor], Tensor]
) -> Tensor:
    """The block's own, less what the settings take away; without the residual connection its dropout stays."""
    absent = [block.cross_attention_norm] if not config.cross_attention else []
    absent += [block.feed_forward_norm] if config.feed_forward == "none" else []
    if any(norm is one for one in absent):
        return x
    if not config.residual:
        return block.dropout(f(norm(x)))
    return TransformerBlock.sublayer(block, x, norm, f)


def operate(model: Transformer, config: Config) -> None:
    """Takes away or exchanges what the settings say."""
    for module in list(model.modules()):
        if config.norm != "LayerNorm":
            for name, child in list(module.named_children()):
                if isinstance(child, LayerNorm):
                    setattr(module, name, NORMS[config.norm](config.d_model))
        if isinstance(module, TransformerBlock):
            module.sublayer = partial(sublayer, module, config)
        if isinstance(module, TransformerBlock) and config.feed_forward == "none":
            module.feed_forward, module.feed_forward_norm = nn.Identity(), nn.Identity()
        if isinstance(module, FeedForward) and config.feed_forward == "gelu":
            module.activation = nn.functional.gelu
        if isinstance(module, MultiHeadAttention) and not config.scaled:
            width = module.d_model / module.num_heads
            if config.start:  # scores √d times smaller
                with torch.no_grad():
                    module.query.weight.mul_(width**-0.25)
                    module.key.weight.mul_(width**-0.25)
            module.query = nn.Sequential(module.query, Times(width**0.5))  # undoes the division by √d
    if config.norm == "BatchNorm":
        model.register_forward_pre_hook(mask_norms, with_kwargs=True)


def mask_norms(model: Transformer, args: tuple, masks: dict[str, Tensor]) -> None:
    """Tells each BatchNorm which tokens are real."""
    for name, module in model.named_modules():
        if isinstance(module, MaskedBatchNorm):
            module.mask = masks["source_mask" if name.startswith("encoder") else "target_mask"]


def optimizer_of(model: Transformer, config: Config) -> torch.optim.Optimizer:
    """AdamW. The rate of W_Q and W_K is such that an update moves the scores √d times as far as in the whole model, or as far.

    A change of W_Q moves q · k by its size times that of k, which a small start divides by d^¼.
    """
    width = config.d_model / config.num_heads
    moved = [
        parameter
        for module in model.modules()
        if isinstance(module, MultiHeadAttention) and not config.scaled
        for part in (module.query, module.key)
        for parameter in part.parameters()
    ]
    rest = [one for one in model.parameters() if all(one is not other for other in moved)]
    factor = (width**0.25 if config.start else 1.0) * (width**-0.5 if config.steps_divided else 1.0)
    groups = [{"params": rest, "factor": 1.0}, *([{"params": moved, "factor": factor}] if moved else [])]
    return AdamWByGroup(groups, betas=(0.9, 0.98))


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
            optimizer=optimizer_of(model, config),
            clip=config.clip,
            schedule=partial(
                warmup_cosine, peak=config.peak, warmup_steps=config.warmup_steps, total_steps=config.steps
            ),
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
        "sentences": own.sentences,
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
    }


@torch.no_grad()
def validate(model: Transformer, config: Config, *, limit: int | None = None) -> float:
    """The percentage of the validation part's syllables that the model's own transcription gets wrong."""
    return 100 - accuracy(model, pinyin_task().parts.validation[:limit]).syllables
