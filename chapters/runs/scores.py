"""The made-up task of memory, by five ways of making a score out of a query and a key.

Book: §2.1.1
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from llmbook.data import Recall, recall_batches
from llmbook.models import Decoder, DecoderConfig
from llmbook.nn import Additive, CosineGain, Multiplicative, ScoredAttention, dot_product, scaled_dot_product
from llmbook.training import cross_entropy, fit, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    score: str
    num_pairs: int = 8
    num_symbols: int = 16
    seq_len: int = 48
    d_model: int = 64
    num_layers: int = 2
    num_heads: int = 2
    batch_size: int = 32
    steps: int = 3000
    peak: float = 2e-3
    warmup_steps: int = 150
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0


CONFIGS = {score: Config(score=score) for score in ("scaled", "dot", "multiplicative", "additive", "cosine")}
SEEDS = (0, 1, 2)
RATES = (1e-3, 2e-3, 4e-3)
SWEEP_SEEDS = (10,)
SWEEP_STEPS = 1500
MILESTONES = (250, 500, 1000, 1500, 2000, 2500, 3000)
DATA = ()
VALIDATION_SEED = 2_000_000
TEST_SEED = 1_000_000


def tasks(config: Config, seed: int, batch_size: int) -> Callable[[int], Recall]:
    return recall_batches(
        batch_size=batch_size, seq_len=config.seq_len, num_pairs=config.num_pairs, num_symbols=config.num_symbols,
        seed=seed,
    )  # fmt: skip


def attention(config: Config) -> Callable[..., nn.Module]:
    heads, head_dim = config.num_heads, config.d_model // config.num_heads
    make = {
        "scaled": lambda: scaled_dot_product,
        "dot": lambda: dot_product,
        "multiplicative": partial(Multiplicative, heads, head_dim),
        "additive": partial(Additive, heads, head_dim, head_dim),
        "cosine": partial(CosineGain, heads, head_dim**0.5),
    }[config.score]
    return lambda *sizes, **settings: ScoredAttention(*sizes, score=make(), **settings)


def train(config: Config, seed: int, *, fit: Callable = fit) -> Decoder:
    torch.manual_seed(seed)
    sizes = DecoderConfig(
        vocab_size=1 + 2 * config.num_symbols, d_model=config.d_model, num_layers=config.num_layers,
        num_heads=config.num_heads, max_seq_len=config.seq_len, positions="sinusoidal",
    )  # fmt: skip
    model = Decoder(sizes, attention=attention(config))
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
def evaluate(model: Decoder, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """On rows that training never saw: the loss, and the share of right answers."""
    batch = tasks(config, TEST_SEED, limit or 1000)(0)
    logits, asked = model(batch.token_ids), batch.distances > 0
    return {
        "loss": cross_entropy(logits, batch.targets).item(),
        "right": 100 * (logits.argmax(dim=-1) == batch.targets)[asked].double().mean().item(),
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
    }


@torch.no_grad()
def validate(model: Decoder, config: Config, *, limit: int | None = None) -> float:
    """The loss on rows of neither training nor test."""
    batch = tasks(config, VALIDATION_SEED, limit or 300)(0)
    return cross_entropy(model(batch.token_ids), batch.targets).item()


@torch.no_grad()
def follow(model: Decoder, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """The share of right answers on the same rows."""
    batch = tasks(config, VALIDATION_SEED, limit or 300)(0)
    asked = batch.distances > 0
    return {"right": 100 * (model(batch.token_ids).argmax(dim=-1) == batch.targets)[asked].double().mean().item()}
