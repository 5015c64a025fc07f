"""Why a few layers without residual connections fail: 宋词 with attention that looks at the position itself first, or at nothing else.

Book: §1.4.1
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from llmbook.data import Window, consecutive_windows, random_windows, song_lyrics
from llmbook.models import SequenceModel, SequenceModelConfig
from llmbook.training import cross_entropy, fit, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    """`self_bias` is added to each score of a position with itself, before the softmax, in all layers and for good."""

    num_layers: int
    residual: bool = False
    self_bias: float = 0.0
    d_model: int = 64
    num_heads: int = 2
    length: int = 64
    batch_size: int = 8
    steps: int = 600
    peak: float = 2e-3
    warmup_steps: int = 60
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0


KINDS = {
    "": {},
    ", self-bias": {"self_bias": 8.0},
    ", only self": {"self_bias": 1e9},  # the weights are exactly 1 and 0
    ", residual": {"residual": True},
}
CONFIGS = {
    f"{num_layers} layers{kind}": Config(num_layers=num_layers, **changes)
    for num_layers in (2, 4, 8)
    for kind, changes in KINDS.items()
}
SEEDS = (0, 1, 2)
RATES = (1e-3, 3e-3, 1e-2)
SWEEP_SEEDS = (10,)
DATA = ("poetry/songci.jsonl.gz", "poetry/shijing.jsonl.gz", "poetry/lunyu.jsonl.gz")


class SelfBiased(nn.Module):
    """Attention with a number added to the score of each position with itself."""

    def __init__(self, attention: nn.Module, self_bias: float):
        super().__init__()
        self.attention, self.self_bias = attention, self_bias

    def forward(self, x: Tensor, **settings) -> Tensor:
        own = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        return self.attention(x, bias=self.self_bias * own, **settings)


def loss(model: SequenceModel, window: Window) -> Tensor:
    return cross_entropy(model(window.token_ids), window.targets)


def build(config: Config, vocab_size: int) -> SequenceModel:
    model = SequenceModel(SequenceModelConfig(
        vocab_size=vocab_size, mixer="attention", d_model=config.d_model,
        num_layers=config.num_layers, num_heads=config.num_heads, residual=config.residual,
    ))  # fmt: skip
    if config.self_bias:
        for layer in model.layers:
            layer.mixer.attention = SelfBiased(layer.mixer.attention, config.self_bias)
    return model


def train(config: Config, seed: int, *, fit: Callable = fit) -> SequenceModel:
    lyrics = song_lyrics()
    torch.manual_seed(seed)
    model = build(config, lyrics.characters.vocab_size)
    fit(
        model,
        random_windows(lyrics.train, length=config.length, batch_size=config.batch_size, seed=seed),
        loss=loss,
        optimizer=torch.optim.AdamW(model.parameters(), betas=config.betas),
        clip=config.clip,
        schedule=partial(warmup_cosine, peak=config.peak, warmup_steps=config.warmup_steps, total_steps=config.steps),
        max_steps=config.steps,
        seed=seed,
    )
    return model.eval()


@torch.no_grad()
def loss_on(model: SequenceModel, ids: Tensor, config: Config, limit: int | None) -> float:
    """Nats a character."""
    window = consecutive_windows(ids, length=config.length)
    parts = zip(window.token_ids[:limit].split(64), window.targets[:limit].split(64), strict=True)
    losses = [(loss(model, Window(*part)).item(), part[1].numel()) for part in parts]
    return sum(value * count for value, count in losses) / sum(count for _, count in losses)


@torch.no_grad()
def likeness(model: SequenceModel, ids: Tensor) -> float:
    """How much of the last layer's vectors all positions of a row share, ‖mean x‖² / mean ‖x‖², the mean over rows."""
    x = model.hidden(ids)
    return (x.mean(dim=1).square().sum(dim=-1) / x.square().sum(dim=-1).mean(dim=-1)).mean().item()


def evaluate(model: SequenceModel, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """The loss on the test part, and how alike positions are, trained and before the training."""
    lyrics = song_lyrics()
    torch.manual_seed(0)
    fresh = build(config, lyrics.characters.vocab_size).to(next(model.parameters()).dtype)
    passages = lyrics.test[: 16 * 32].view(16, 32)
    return {
        "loss": loss_on(model, lyrics.test, config, limit),
        "alike_untrained": likeness(fresh, passages),
        "alike": likeness(model, passages),
    }


def validate(model: SequenceModel, config: Config, *, limit: int | None = None) -> float:
    """The loss on the validation part."""
    return loss_on(model, song_lyrics().validation, config, limit)
