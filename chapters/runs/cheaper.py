"""English help pages in windows of 512 tokens, by models whose attention is exact, or cheaper in one way each.

Those with fewer heads of keys and values get the weights that they save in the feed-forward network.

Book: §2.1.2
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import nn

from llmbook.data import Window, consecutive_windows, help_pages, random_windows
from llmbook.evaluation import last_seen, token_losses
from llmbook.models import Decoder, DecoderConfig
from llmbook.nn import (
    AttentionBy,
    LinearAttention,
    LocalAttention,
    MultiHeadAttention,
    orthogonal_projections,
    performer_attention,
)
from llmbook.training import cross_entropy, fit, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    attention: str = "exact"
    num_kv_heads: int = 4
    window: int = 32
    num_features: int = 64
    d_model: int = 128
    num_layers: int = 4
    num_heads: int = 4
    dropout: float = 0.1
    length: int = 512
    batch_size: int = 2
    steps: int = 1000
    peak: float = 3e-3
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0

    @property
    def d_ff(self) -> int:
        """4 d_model, and what keys and values leave: 2 d_model² (1 − kv heads / heads) weights."""
        return 4 * self.d_model + self.d_model * (self.num_heads - self.num_kv_heads) // self.num_heads


CONFIGS = {
    "exact": Config(),
    "1 KV head": Config(num_kv_heads=1),
    "linear": Config(attention="linear"),
    "random features": Config(attention="random features"),
    "window of 32": Config(attention="window"),
}
SEEDS = (0, 1, 2)
RATES = (1e-3, 3e-3, 1e-2)
SWEEP_SEEDS = (10,)
SWEEP_STEPS = 250
MILESTONES = (125, 250, 500, 750, 1000)
DATA = ("libreoffice/help.jsonl.gz", "weights/translator/tokenizer.json")
CONTEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 513)  # tokens seen, at least: 1, 2–3, 4–7, …
RECENT = 32


def attention(config: Config) -> Callable[..., nn.Module]:
    """What makes a layer's attention; none drops weights, since not all have weights to drop."""

    def make(*sizes: int, dropout: float, **settings) -> nn.Module:
        if config.attention == "linear":
            return LinearAttention(*sizes, **settings)
        if config.attention == "window":
            return LocalAttention(*sizes, window=config.window, **settings)
        if config.attention == "random features":
            drawn = orthogonal_projections(config.num_features, config.d_model // config.num_heads)
            by = partial(performer_attention, projections=drawn, causal=True)
            return AttentionBy(*sizes, attend=by, causal=True, **settings)
        return MultiHeadAttention(*sizes, **settings)

    return make


def train(config: Config, seed: int, *, fit: Callable = fit) -> Decoder:
    text, tokenizer = help_pages()
    torch.manual_seed(seed)
    sizes = DecoderConfig(
        vocab_size=tokenizer.vocab_size, d_model=config.d_model, num_layers=config.num_layers,
        num_heads=config.num_heads, num_kv_heads=config.num_kv_heads, d_ff=config.d_ff, dropout=config.dropout,
        positions="sinusoidal",
    )  # fmt: skip
    model = Decoder(sizes, attention=attention(config))
    fit(
        model,
        random_windows(text.train, length=config.length, batch_size=config.batch_size, seed=seed),
        loss=lambda model, window: cross_entropy(model(window.token_ids), window.targets),
        optimizer=torch.optim.AdamW(model.parameters(), betas=config.betas),
        clip=config.clip,
        schedule=partial(warmup_cosine, peak=config.peak, warmup_steps=config.warmup_steps, total_steps=config.steps),
        max_steps=config.steps,
        seed=seed,
    )
    return model.eval()


def evaluate(model: Decoder, config: Config, *, limit: int | None = None) -> dict[str, float | list[float]]:
    """Nats a token on the test part: of all; by how much context the window gives; by how far back the token was last seen."""
    window = consecutive_windows(help_pages()[0].test, length=config.length)
    window = Window(*(part[:limit] for part in window))
    nats, back = token_losses(model, window, rows=8), last_seen(window)
    groups = {"new": back == 0, "recent": (back > 0) & (back <= RECENT), "far": back > RECENT}
    return {
        "loss": nats.mean().item(),
        "loss_by_context": [nats[:, low - 1 : high - 1].mean().item() for low, high in pairwise(CONTEXTS)],
        **{f"loss_{name}": nats[group].mean().item() for name, group in groups.items()},
        **{f"share_{name}": group.float().mean().item() for name, group in groups.items()},
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
    }


def validate(model: Decoder, config: Config, *, limit: int | None = None) -> float:
    """Nats a token on the validation part."""
    window = consecutive_windows(help_pages()[0].validation, length=config.length)
    return token_losses(model, Window(*(part[:limit] for part in window)), rows=8).mean().item()


def follow(model: Decoder, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """The loss on the validation part."""
    return {"loss": validate(model, config, limit=limit)}
