"""Which residual connections eight layers need: 宋词 with both, with those around one kind of sublayer, with none.

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
    """`around` says which sublayers have a residual connection: "both", "attention", "feed-forward" or "none".

    `self_bias` is added to each score of a position with itself, before the softmax, in all layers and for good.
    """

    around: str
    num_layers: int = 8
    self_bias: float = 0.0
    d_model: int = 64
    num_heads: int = 2
    length: int = 64
    batch_size: int = 8
    steps: int = 2500
    peak: float = 3e-3
    warmup_steps: int = 60
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0


CONFIGS = {
    "both": Config(around="both"),
    "attention only": Config(around="attention"),
    "feed-forward only": Config(around="feed-forward"),
    "none": Config(around="none"),
    "none, self-bias": Config(around="none", self_bias=8.0),
}
SEEDS = (0, 1, 2)
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
SWEEP_SEEDS = (10,)
MILESTONES = (1, 300, 600, 1200, 2500)
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


def sublayer(layer: nn.Module, around: str, x: Tensor, norm: nn.Module, f: Callable[[Tensor], Tensor]) -> Tensor:
    """x + f(norm(x)) where the sublayer has a residual connection, f(norm(x)) where not."""
    kind = "attention" if norm is layer.mixer_norm else "feed-forward"
    return x + f(norm(x)) if around in (kind, "both") else f(norm(x))


def build(config: Config, vocab_size: int) -> SequenceModel:
    model = SequenceModel(SequenceModelConfig(
        vocab_size=vocab_size, mixer="attention", d_model=config.d_model,
        num_layers=config.num_layers, num_heads=config.num_heads,
    ))  # fmt: skip
    for layer in model.layers:
        layer.sublayer = partial(sublayer, layer, config.around)
        if config.self_bias:
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


def gradient_sizes(model: SequenceModel, window: Window) -> tuple[float, float]:
    """The root mean square of a matrix's gradient, the median over W_Q and W_K, and over the layers' other matrices."""
    matrices = {name: matrix for name, matrix in model.layers.named_parameters() if matrix.ndim == 2}
    gradients = torch.autograd.grad(loss(model, window), list(matrices.values()))
    sizes = {name: g.square().mean().sqrt() for name, g in zip(matrices, gradients, strict=True)}
    looking = {name for name in sizes if ".query." in name or ".key." in name}
    looks, others = [sizes[name] for name in looking], [sizes[name] for name in sizes.keys() - looking]
    return torch.stack(looks).quantile(0.5).item(), torch.stack(others).quantile(0.5).item()


def follow(model: SequenceModel, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """The validation loss, how alike positions are, and the sizes of gradients on one batch of the training part."""
    lyrics = song_lyrics()
    passages = lyrics.validation[: 16 * 32].view(16, 32)
    batch = random_windows(lyrics.train, length=config.length, batch_size=config.batch_size, seed=1000)(0)
    looks, others = gradient_sizes(model, batch)
    few = loss_on(model, lyrics.validation, config, limit or 64)
    return {"loss": few, "alike": likeness(model, passages), "looks": looks, "others": others}


def evaluate(model: SequenceModel, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """The loss on the test part."""
    return {"loss": loss_on(model, song_lyrics().test, config, limit)}


def validate(model: SequenceModel, config: Config, *, limit: int | None = None) -> float:
    """The loss on the validation part."""
    return loss_on(model, song_lyrics().validation, config, limit)
