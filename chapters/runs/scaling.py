"""Larger models and more training tokens: 宋词 character by character, one small sweep.

Book: §1.3.2
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from llmbook.data import Window, consecutive_windows, random_windows, song_lyrics
from llmbook.models import SequenceModel, SequenceModelConfig
from llmbook.training import cross_entropy, fit, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    d_model: int = 96
    num_layers: int = 4
    tokens: int = 512_000
    length: int = 64
    batch_size: int = 8
    peak: float = 3e-3  # at width 64; it falls as 1 / √width
    warmup: float = 0.1  # of the steps
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0

    @property
    def steps(self) -> int:
        return self.tokens // (self.length * self.batch_size)


SIZES = ((32, 2), (48, 3), (64, 4), (96, 4), (128, 5), (160, 6))
TOKENS = (32_000, 64_000, 128_000, 256_000, 1_024_000)
CONFIGS = {
    **{f"{width} wide, {depth} layers": Config(d_model=width, num_layers=depth) for width, depth in SIZES},
    **{f"{tokens:,} tokens": Config(tokens=tokens) for tokens in TOKENS},
}
SEEDS = (0, 1, 2)
DATA = ("poetry/songci.jsonl.gz", "poetry/shijing.jsonl.gz", "poetry/lunyu.jsonl.gz")


def train(config: Config, seed: int, *, fit: Callable = fit) -> SequenceModel:
    lyrics = song_lyrics()
    torch.manual_seed(seed)
    model = SequenceModel(SequenceModelConfig(
        vocab_size=lyrics.characters.vocab_size, mixer="attention", d_model=config.d_model,
        num_layers=config.num_layers, num_heads=config.d_model // 16,
    ))  # fmt: skip
    fit(
        model,
        random_windows(lyrics.train, length=config.length, batch_size=config.batch_size, seed=seed),
        loss=lambda model, window: cross_entropy(model(window.token_ids), window.targets),
        optimizer=torch.optim.AdamW(model.parameters(), betas=config.betas),
        clip=config.clip,
        schedule=partial(
            warmup_cosine, peak=config.peak * (64 / config.d_model) ** 0.5,
            warmup_steps=round(config.warmup * config.steps), total_steps=config.steps,
        ),
        max_steps=config.steps,
        seed=seed,
    )  # fmt: skip
    return model.eval()


@torch.no_grad()
def evaluate(model: SequenceModel, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """The loss on the test part in nats a character; parameters without and with the embedding; training tokens."""
    window = consecutive_windows(song_lyrics().test, length=config.length)
    window = Window(*(part[:limit] for part in window))
    total = 0.0
    for ids, targets in zip(window.token_ids.split(64), window.targets.split(64), strict=True):
        total += cross_entropy(model(ids), targets).item() * targets.numel()
    everything = sum(parameter.numel() for parameter in model.parameters())
    return {
        "loss": total / window.targets.numel(),
        "parameters": float(everything - model.embedding.weight.numel()),
        "all_parameters": float(everything),
        "tokens": float(config.steps * config.length * config.batch_size),
    }
