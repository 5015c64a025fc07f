"""English help pages token by token, until the loss is flat: a recurrent, a convolutional and an attention model of one size.

Book: §1.1.2
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from llmbook.data import Window, consecutive_windows, help_pages, random_windows
from llmbook.evaluation import last_seen, token_losses
from llmbook.models import SequenceModel, SequenceModelConfig
from llmbook.nn.fused_lstm import fuse
from llmbook.training import cross_entropy, fit, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    mixer: str
    d_model: int = 128
    num_layers: int = 4
    num_heads: int = 4
    dropout: float = 0.1
    length: int = 256
    batch_size: int = 8
    steps: int = 2400
    peak: float = 3e-3
    warmup_steps: int = 200
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0


CONFIGS = {mixer: Config(mixer=mixer) for mixer in ("recurrence", "convolution", "attention")}
SEEDS = (0, 1, 2)
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
SWEEP_SEEDS = (10,)
SWEEP_STEPS = 600
MILESTONES = (150, 300, 600, 1200, 1800, 2400)
DATA = ("libreoffice/help.jsonl.gz", "weights/translator/tokenizer.json")
CONTEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 257)  # tokens seen, at least: 1, 2–3, 4–7, …
RECENT = 32


def loss(model: SequenceModel, window: Window) -> Tensor:
    return cross_entropy(model(window.token_ids), window.targets)


def train(config: Config, seed: int, *, fit: Callable = fit) -> SequenceModel:
    text, tokenizer = help_pages()
    torch.manual_seed(seed)
    model = SequenceModel(SequenceModelConfig(
        vocab_size=tokenizer.vocab_size, mixer=config.mixer, d_model=config.d_model,
        num_layers=config.num_layers, num_heads=config.num_heads, dropout=config.dropout,
    ))  # fmt: skip
    fuse(model)
    fit(
        model,
        random_windows(text.train, length=config.length, batch_size=config.batch_size, seed=seed),
        loss=loss,
        optimizer=torch.optim.AdamW(model.parameters(), betas=config.betas),
        clip=config.clip,
        schedule=partial(warmup_cosine, peak=config.peak, warmup_steps=config.warmup_steps, total_steps=config.steps),
        max_steps=config.steps,
        seed=seed,
    )
    return model.eval()


def evaluate(model: SequenceModel, config: Config, *, limit: int | None = None) -> dict[str, float | list[float]]:
    """Nats a token on the test part: of all; by how much context the window gives; by how far back the token was last seen."""
    window = consecutive_windows(help_pages()[0].test, length=config.length)
    window = Window(*(part[:limit] for part in window))
    nats, back = token_losses(model, window), last_seen(window)
    groups = {"new": back == 0, "recent": (back > 0) & (back <= RECENT), "far": back > RECENT}
    return {
        "loss": nats.mean().item(),
        "loss_by_context": [nats[:, low - 1 : high - 1].mean().item() for low, high in pairwise(CONTEXTS)],
        **{f"loss_{name}": nats[group].mean().item() for name, group in groups.items()},
        **{f"share_{name}": group.float().mean().item() for name, group in groups.items()},
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
    }


def validate(model: SequenceModel, config: Config, *, limit: int | None = None) -> float:
    """Nats a token on the validation part."""
    window = consecutive_windows(help_pages()[0].validation, length=config.length)
    return token_losses(model, Window(*(part[:limit] for part in window))).mean().item()


def follow(model: SequenceModel, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """The loss on the validation part."""
    return {"loss": validate(model, config, limit=limit)}
