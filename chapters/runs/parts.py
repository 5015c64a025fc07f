"""汉字 → 拼音 with one part of the Transformer, or of its training, taken away or exchanged at a time, each at its own learning rate.

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
from llmbook.nn import BatchNorm, LayerNorm, MultiHeadAttention, RMSNorm, TransformerBlock
from llmbook.nn.feed_forward import ACTIVATIONS
from llmbook.training import fit, teacher_forced, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    cross_attention: bool = True
    feed_forward: bool = True
    activation: str = "relu"
    positions: str = "sinusoidal"
    num_heads: int = 4
    scaled: bool = True
    causal: bool = True
    residual: bool = True
    norm: str = "LayerNorm"
    norm_first: bool = True
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
    "no cross-attention": Config(cross_attention=False),
    "no feed-forward": Config(feed_forward=False),
    "no feed-forward, 5 layers": Config(feed_forward=False, num_layers=5),  # about as many parameters as with
    "gelu": Config(activation="gelu"),
    "no positions": Config(positions="none"),
    "one head": Config(num_heads=1),
    "no 1/√d": Config(scaled=False),
    "leaking mask": Config(causal=False),
    "no residual": Config(residual=False),
    "BatchNorm": Config(norm="BatchNorm"),
    "RMSNorm": Config(norm="RMSNorm"),
    "post-norm": Config(norm_first=False),
    "post-norm, no warm-up": Config(norm_first=False, warmup_steps=0),
    "no warm-up": Config(warmup_steps=0),
    "no label smoothing": Config(label_smoothing=0.0),
}
SEEDS = (0, 1, 2, 3)
RATES = (8e-4, 2e-3, 5e-3, 1.2e-2)
SWEEP_SEEDS = (10,)
DATA = ("hsk/sentences.jsonl.gz",)


class Times(nn.Module):
    """x times a number."""

    def __init__(self, factor: float):
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class MaskedBatchNorm(nn.Module):
    """Batch normalization of a model's encoder or decoder, whose statistics leave padding out."""

    def __init__(self, d_model: int, masks: dict[str, Tensor | None], side: str):
        super().__init__()
        self.norm, self.masks, self.side = BatchNorm(d_model), masks, side

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x, mask=self.masks[self.side] if self.training else None)


def sublayer(
    block: TransformerBlock, config: Config, x: Tensor, norm: nn.Module, f: Callable[[Tensor], Tensor]
) -> Tensor:
    """As in `TransformerBlock`, less what the settings take away."""
    if norm is block.cross_attention_norm and not config.cross_attention:
        return x
    if norm is block.feed_forward_norm and not config.feed_forward:
        return x
    if not config.residual:
        return block.dropout(f(norm(x)))
    return TransformerBlock.sublayer(block, x, norm, f)


def all_true(query_len: int, key_len: int) -> Tensor:
    return torch.ones(query_len, key_len, dtype=torch.bool)


def operate(model: Transformer, config: Config) -> None:
    """Takes away or exchanges what the settings say."""
    for module in list(model.modules()):
        if isinstance(module, TransformerBlock):
            module.sublayer = partial(sublayer, module, config)
            module.feed_forward.activation = ACTIVATIONS[config.activation]
        if isinstance(module, MultiHeadAttention) and not config.scaled:  # undoes the division by √d
            module.query = nn.Sequential(module.query, Times((module.d_model / module.num_heads) ** 0.5))
    exchange_norms(model, config)


def exchange_norms(model: Transformer, config: Config) -> None:
    """Another norm in the place of each layer normalization."""
    masks: dict[str, Tensor | None] = {}
    if config.norm == "BatchNorm":
        model.register_forward_pre_hook(
            lambda module, args, settings: masks.update(
                encoder=settings["source_mask"], decoder=settings["target_mask"]
            ),
            with_kwargs=True,
        )
    new = {
        "BatchNorm": partial(MaskedBatchNorm, config.d_model, masks),
        "RMSNorm": lambda side: RMSNorm(config.d_model),
    }
    for path, module in list(model.named_modules()):
        if isinstance(module, LayerNorm) and config.norm in new:
            parent, _, name = path.rpartition(".")
            setattr(model.get_submodule(parent), name, new[config.norm](path[:7]))


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
        "parameters": float(sum(parameter.numel() for parameter in model.parameters() if parameter.grad is not None)),
    }


@torch.no_grad()
def validate(model: Transformer, config: Config, *, limit: int | None = None) -> float:
    """The percentage of the validation part's syllables that the model's own transcription gets wrong."""
    return 100 - accuracy(model, pinyin_task().parts.validation[:limit]).syllables
