"""English help pages in windows of 64 tokens, by seven ways of telling positions; then windows of up to 1,024.

Book: §2.2.2
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import torch

from llmbook.data import Window, consecutive_windows, help_pages, random_windows
from llmbook.evaluation import token_losses
from llmbook.models import Decoder, DecoderConfig
from llmbook.nn import RotaryScaling
from llmbook.training import cross_entropy, fit, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    positions: str
    d_model: int = 128
    num_layers: int = 4
    num_heads: int = 4
    max_distance: int = 64
    dropout: float = 0.1
    length: int = 64
    batch_size: int = 16
    steps: int = 1500
    peak: float = 3e-3
    warmup_steps: int = 200
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0


WAYS = ("none", "sinusoidal", "learned", "shaw", "t5", "rotary", "alibi")
CONFIGS = {way: Config(positions=way) for way in WAYS}
SEEDS = (0, 1, 2)
RATES = (1e-3, 3e-3, 1e-2)
SWEEP_SEEDS = (10,)
SWEEP_STEPS = 400
MILESTONES = (250, 500, 750, 1000, 1250, 1500)
DATA = ("libreoffice/help.jsonl.gz", "weights/translator/tokenizer.json")
LONGEST = 1024
PLACES = (0, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024)  # borders of the groups of places in a window
FACTOR = LONGEST / 64
CHANGES = {  # of the trained rotary model, for longer windows
    "interpolated": {"rope_scaling": RotaryScaling("linear", FACTOR, 64)},
    "NTK-aware": {"rope_scaling": RotaryScaling("ntk", FACTOR, 64)},
    "YaRN": {"rope_scaling": RotaryScaling("yarn", FACTOR, 64)},
    "window": {"window": 64},
}


def model_config(config: Config, vocab_size: int) -> DecoderConfig:
    return DecoderConfig(
        vocab_size=vocab_size, d_model=config.d_model, num_layers=config.num_layers, num_heads=config.num_heads,
        dropout=config.dropout, max_seq_len=LONGEST, positions=config.positions, max_distance=config.max_distance,
    )  # fmt: skip


def train(config: Config, seed: int, *, fit: Callable = fit) -> Decoder:
    text, tokenizer = help_pages()
    torch.manual_seed(seed)
    model = Decoder(model_config(config, tokenizer.vocab_size))
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


def changed(model: Decoder, **settings) -> Decoder:
    """The same weights, with other positions or a window."""
    other = Decoder(replace(model.config, **settings)).to(model.output.weight)
    other.load_state_dict(model.state_dict())
    return other.eval()


def evaluate(model: Decoder, config: Config, *, limit: int | None = None) -> dict[str, float | list[float]]:
    """Nats a token on the test part: in windows of the trained length; by place in windows of 1,024; so too the changed rotary model."""
    test = help_pages()[0].test
    short, long = (
        Window(*(part[:limit] for part in consecutive_windows(test, length=length)))
        for length in (config.length, LONGEST)
    )
    spans = list(pairwise(PLACES))

    def by_place(model: Decoder) -> list[float]:
        nats = token_losses(model, long, rows=4)
        return [nats[:, low:high].mean().item() for low, high in spans]

    changes = CHANGES if config.positions == "rotary" else {}
    return {
        "loss": token_losses(model, short, rows=64).mean().item(),
        "loss_by_place": by_place(model),
        **{f"loss_by_place, {name}": by_place(changed(model, **settings)) for name, settings in changes.items()},
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
    }


def validate(model: Decoder, config: Config, *, limit: int | None = None) -> float:
    """Nats a token on the validation part, in windows as long as in training."""
    window = consecutive_windows(help_pages()[0].validation, length=config.length)
    return token_losses(model, Window(*(part[:limit] for part in window)), rows=64).mean().item()


def follow(model: Decoder, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """The loss on the validation part."""
    return {"loss": validate(model, config, limit=limit)}
