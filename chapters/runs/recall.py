"""A made-up task of memory, by a recurrent, a convolutional and an attention model of the same size.

Book: §1.1.2
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from llmbook.data import Recall, recall_batches
from llmbook.models import SequenceModel, SequenceModelConfig
from llmbook.training import cross_entropy, fit, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    mixer: str
    num_pairs: int = 8
    num_symbols: int = 16
    seq_len: int = 96
    d_model: int = 64
    num_layers: int = 3
    num_heads: int = 2
    batch_size: int = 32
    steps: int = 1500
    peak: float = 2e-3
    warmup_steps: int = 150
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0


CONFIGS = {
    **{mixer: Config(mixer=mixer) for mixer in ("recurrence", "convolution", "attention")},
    "recurrence, 2 pairs": Config(mixer="recurrence", num_pairs=2),
    "recurrence, 4 pairs": Config(mixer="recurrence", num_pairs=4),
}
SEEDS = (0, 1, 2)
DATA = ()
DISTANCES = ((1, 8), (9, 16), (17, 32), (33, 48), (49, 64), (65, 80), (81, 95))  # from answer to question, from … to
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
    """On rows that training never saw: the loss, the share of right answers, and the same by distance."""
    batch = tasks(config, TEST_SEED, limit or 1000)(0)
    logits = model(batch.token_ids)
    right = logits.argmax(dim=-1) == batch.targets
    asked = batch.distances > 0

    def share(where: torch.Tensor) -> float:
        return 100 * right[where].double().mean().item() if where.any() else 0.0

    return {
        "loss": cross_entropy(logits, batch.targets).item(),
        "right": share(asked),
        "by_distance": [share((batch.distances >= low) & (batch.distances <= high)) for low, high in DISTANCES],
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
    }
