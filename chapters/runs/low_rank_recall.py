"""The made-up task of memory, every token seeing all others: by exact attention, and by four that never compare all pairs.

Book: §2.1.2
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llmbook.data import Recall, recall_batches
from llmbook.models import initialize
from llmbook.nn import (
    AttentionBy,
    LayerNorm,
    LinformerAttention,
    MultiHeadAttention,
    SinusoidalPositions,
    TransformerBlock,
    linear_attention,
    nystrom_attention,
    orthogonal_projections,
    performer_attention,
)
from llmbook.training import cross_entropy, fit, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    attention: str
    rank: int = 8
    num_pairs: int = 8
    num_symbols: int = 16
    seq_len: int = 64
    d_model: int = 64
    num_layers: int = 2
    num_heads: int = 2
    batch_size: int = 32
    steps: int = 2000
    peak: float = 2e-3
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0


KINDS = ("exact", "Linformer", "Nyström", "random features", "linear")
CONFIGS = {kind: Config(attention=kind) for kind in KINDS}
CONFIGS |= {f"{kind}, 32": Config(attention=kind, rank=32) for kind in ("Linformer", "Nyström", "random features")}
SEEDS = (0, 1, 2)
RATES = (1e-3, 2e-3, 4e-3)
SWEEP_SEEDS = (10,)
SWEEP_STEPS = 500
MILESTONES = (250, 500, 1000, 1500, 2000)
DATA = ()
VALIDATION_SEED = 2_000_000
TEST_SEED = 1_000_000


def attention(config: Config) -> Callable[..., nn.Module]:
    """What makes a layer's attention."""
    if config.attention == "exact":
        return MultiHeadAttention
    if config.attention == "Linformer":
        return partial(LinformerAttention, seq_len=config.seq_len, rank=config.rank)

    def make(*sizes: int, **settings) -> nn.Module:
        if config.attention == "random features":
            drawn = orthogonal_projections(config.rank, config.d_model // config.num_heads)
            by = partial(performer_attention, projections=drawn, causal=False)
        elif config.attention == "Nyström":
            by = partial(nystrom_attention, num_landmarks=config.rank)
        else:
            by = partial(linear_attention, causal=False)
        return AttentionBy(*sizes, attend=by, causal=False, **settings)

    return make


class Reader(nn.Module):
    """Embedding, positions, blocks without a causal mask, and scores at every place."""

    def __init__(self, config: Config):
        super().__init__()
        d_model = config.d_model
        self.embedding = nn.Embedding(1 + 2 * config.num_symbols, d_model)
        self.positions = SinusoidalPositions(config.seq_len, d_model)
        self.blocks = nn.ModuleList(
            TransformerBlock(d_model, config.num_heads, 4 * d_model, attention=attention(config))
            for _ in range(config.num_layers)
        )
        self.norm = LayerNorm(d_model)
        initialize(self)

    def forward(self, token_ids: Tensor) -> Tensor:
        x = self.embedding(token_ids) * self.embedding.embedding_dim**0.5
        x = x + self.positions(torch.arange(token_ids.shape[1])).to(x.dtype)
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.embedding.weight)


def tasks(config: Config, seed: int, batch_size: int) -> Callable[[int], Recall]:
    return recall_batches(
        batch_size=batch_size, seq_len=config.seq_len, num_pairs=config.num_pairs, num_symbols=config.num_symbols,
        seed=seed,
    )  # fmt: skip


def train(config: Config, seed: int, *, fit: Callable = fit) -> Reader:
    torch.manual_seed(seed)
    model = Reader(config)
    fit(
        model,
        tasks(config, seed, config.batch_size),
        loss=lambda model, batch: cross_entropy(model(batch.token_ids), batch.targets),
        optimizer=torch.optim.AdamW(model.parameters(), betas=config.betas),
        clip=config.clip,
        schedule=partial(warmup_cosine, peak=config.peak, warmup_steps=config.warmup_steps, total_steps=config.steps),
        max_steps=config.steps,
        seed=seed,
    )
    return model.eval()


@torch.no_grad()
def evaluate(model: Reader, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """On rows that training never saw: the loss, and the share of right answers."""
    batch = tasks(config, TEST_SEED, limit or 500)(0)
    logits, asked = model(batch.token_ids), batch.distances > 0
    return {
        "loss": cross_entropy(logits, batch.targets).item(),
        "right": 100 * (logits.argmax(dim=-1) == batch.targets)[asked].double().mean().item(),
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
    }


@torch.no_grad()
def validate(model: Reader, config: Config, *, limit: int | None = None) -> float:
    """The loss on rows of neither training nor test."""
    batch = tasks(config, VALIDATION_SEED, limit or 300)(0)
    return cross_entropy(model(batch.token_ids), batch.targets).item()


@torch.no_grad()
def follow(model: Reader, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """The share of right answers on the same rows."""
    batch = tasks(config, VALIDATION_SEED, limit or 300)(0)
    asked = batch.distances > 0
    return {"right": 100 * (model(batch.token_ids).argmax(dim=-1) == batch.targets)[asked].double().mean().item()}
