"""宋词 character by character: a recurrent, a convolutional and an attention model of the same size, depth and compute.

Book: §1.1.2
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch

from llmbook.data import Window, consecutive_windows, random_windows, song_lyrics
from llmbook.models import SequenceModel, SequenceModelConfig
from llmbook.training import cross_entropy, fit, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    mixer: str
    d_model: int = 128
    num_layers: int = 4
    num_heads: int = 4
    dropout: float = 0.1
    length: int = 128
    batch_size: int = 16
    steps: int = 700
    peak: float = 2e-3
    warmup_steps: int = 70
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0


CONFIGS = {mixer: Config(mixer=mixer) for mixer in ("recurrence", "convolution", "attention")}
SEEDS = (0, 1, 2)
DATA = ("poetry/songci.jsonl.gz", "poetry/shijing.jsonl.gz", "poetry/lunyu.jsonl.gz")
CONTEXTS = (1, 2, 4, 8, 16, 32, 64, 128)  # tokens seen, at least: 1, 2–3, 4–7, …
DISTANCES = (0, 1, 2, 4, 8, 16, 32, 64, 96)


def loss(model: SequenceModel, window: Window) -> torch.Tensor:
    return cross_entropy(model(window.token_ids), window.targets)


def train(config: Config, seed: int, *, fit: Callable = fit) -> SequenceModel:
    lyrics = song_lyrics()
    torch.manual_seed(seed)
    model = SequenceModel(SequenceModelConfig(
        vocab_size=lyrics.characters.vocab_size, mixer=config.mixer, d_model=config.d_model,
        num_layers=config.num_layers, num_heads=config.num_heads, dropout=config.dropout,
    ))  # fmt: skip
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


def gradients(model: SequenceModel, window: Window) -> list[float]:
    """How strongly the last token's loss depends on the input so far back, ‖∂loss/∂x‖, the mean over rows, relative to distance 0."""
    captured = []
    handle = model.dropout.register_forward_hook(
        lambda module, inputs, output: captured.append(output) or output.retain_grad()
    )
    logits = model(window.token_ids)
    handle.remove()
    cross_entropy(logits[:, -1], window.targets[:, -1]).backward()
    norms = captured[0].grad.norm(dim=-1).mean(dim=0)
    model.zero_grad()
    return [(norms[-1 - distance] / norms[-1]).item() for distance in DISTANCES]


def evaluate(model: SequenceModel, config: Config, *, limit: int | None = None) -> dict[str, float | list[float]]:
    """Bits a character on the test part: of all, and by how much context the window gives; gradients by distance."""
    window = consecutive_windows(song_lyrics().test, length=config.length)
    window = Window(*(part[:limit] for part in window))
    losses = []
    with torch.no_grad():
        for ids, targets in zip(window.token_ids.split(32), window.targets.split(32), strict=True):
            of_target = model(ids).log_softmax(dim=-1).gather(-1, targets[:, :, None])
            losses.append(-of_target[:, :, 0])
    bits = torch.cat(losses).mean(dim=0) / torch.log(torch.tensor(2.0))
    edges = pairwise(CONTEXTS)
    return {
        "bits": bits.mean().item(),
        "bits_by_context": [bits[low - 1 : high - 1].mean().item() for low, high in edges],
        "gradients": gradients(model, Window(window.token_ids[:64], window.targets[:64])),
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
    }
