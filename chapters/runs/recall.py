"""A made-up task of memory, by a recurrent, a convolutional and an attention model of the same width.

The convolution has as many layers as it needs to see the whole row, more than the others.

Book: §1.1.2
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from llmbook.data import Recall, recall_batches
from llmbook.models import SequenceModel, SequenceModelConfig
from llmbook.nn.fused_lstm import fuse
from llmbook.training import cross_entropy, fit, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    mixer: str
    num_pairs: int = 8
    num_symbols: int = 16
    seq_len: int = 48
    d_model: int = 64
    num_layers: int = 3
    num_heads: int = 2
    batch_size: int = 32
    steps: int = 6000
    peak: float = 2e-3
    warmup_steps: int = 150
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0


CONFIGS = {
    "recurrence": Config(mixer="recurrence"),
    "recurrence, 2 pairs": Config(mixer="recurrence", num_pairs=2),
    "convolution": Config(mixer="convolution", num_layers=5),  # sees 1 + 2 (2^5 − 1) = 63 tokens
    "attention": Config(mixer="attention"),
}
SEEDS = (0, 1, 2)
RATES = (1e-3, 2e-3, 4e-3)
SWEEP_SEEDS = (10,)
MILESTONES = (250, 500, 1000, 2000, 3000, 4500, 6000)
DATA = ()
DISTANCES = ((1, 8), (9, 16), (17, 24), (25, 32), (33, 40), (41, 47))  # from answer to question, from … to
VALIDATION_SEED = 2_000_000
TEST_SEED = 1_000_000


def tasks(config: Config, seed: int, batch_size: int) -> Callable[[int], Recall]:
    return recall_batches(
        batch_size=batch_size, seq_len=config.seq_len, num_pairs=config.num_pairs, num_symbols=config.num_symbols,
        seed=seed,
    )  # fmt: skip


def train(config: Config, seed: int, *, fit: Callable = fit) -> SequenceModel:
    torch.manual_seed(seed)
    model = SequenceModel(SequenceModelConfig(
        vocab_size=1 + 2 * config.num_symbols, mixer=config.mixer, d_model=config.d_model,
        num_layers=config.num_layers, num_heads=config.num_heads,
    ))  # fmt: skip
    fuse(model)
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
def evaluate(model: SequenceModel, config: Config, *, limit: int | None = None) -> dict[str, float | list[float]]:
    """On rows that training never saw: the loss; shares of right answers, of those by distance, and of answers that are in the row."""
    batch = tasks(config, TEST_SEED, limit or 1000)(0)
    logits, asked = model(batch.token_ids), batch.distances > 0
    said, values = logits.argmax(dim=-1), batch.targets[asked].view(-1, 1, config.num_pairs)
    right, of_the_row = said == batch.targets, (said[:, :, None] == values).any(dim=-1)

    def share(true: torch.Tensor, where: torch.Tensor) -> float:
        return 100 * true[where].double().mean().item() if where.any() else 0.0

    return {
        "loss": cross_entropy(logits, batch.targets).item(),
        "right": share(right, asked),
        "by_distance": [share(right, (batch.distances >= low) & (batch.distances <= high)) for low, high in DISTANCES],
        "of_the_row": share(of_the_row, asked),
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
    }


@torch.no_grad()
def validate(model: SequenceModel, config: Config, *, limit: int | None = None) -> float:
    """The loss on rows of neither training nor test."""
    batch = tasks(config, VALIDATION_SEED, limit or 300)(0)
    return cross_entropy(model(batch.token_ids), batch.targets).item()


@torch.no_grad()
def follow(model: SequenceModel, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """The share of right answers on the same rows."""
    batch = tasks(config, VALIDATION_SEED, limit or 300)(0)
    asked = batch.distances > 0
    return {"right": 100 * (model(batch.token_ids).argmax(dim=-1) == batch.targets)[asked].double().mean().item()}
