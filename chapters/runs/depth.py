"""With and without residual connections, ever deeper: 宋词 character by character, then the trained model with layers out or swapped.

Book: §1.4.1
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from llmbook import seeding
from llmbook.data import Window, consecutive_windows, random_windows, song_lyrics
from llmbook.models import SequenceModel, SequenceModelConfig
from llmbook.training import cross_entropy, fit, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    num_layers: int
    residual: bool
    d_model: int = 64
    num_heads: int = 2
    length: int = 64
    batch_size: int = 8
    steps: int = 600
    peak: float = 2e-3
    warmup_steps: int = 60
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0


CONFIGS = {
    f"{num_layers} layers{'' if residual else ', no residual'}": Config(num_layers=num_layers, residual=residual)
    for num_layers in (2, 4, 8, 16, 24)
    for residual in (True, False)
}
SEEDS = (0, 1, 2)
DATA = ("poetry/songci.jsonl.gz", "poetry/shijing.jsonl.gz", "poetry/lunyu.jsonl.gz")
TAKEN_OUT = (0, 1, 2, 4, 8, 12, 16)
DRAWS = 4  # of layers to take out, for each number of them


def loss(model: SequenceModel, window: Window) -> Tensor:
    return cross_entropy(model(window.token_ids), window.targets)


def train(config: Config, seed: int, *, fit: Callable = fit) -> SequenceModel:
    lyrics = song_lyrics()
    torch.manual_seed(seed)
    model = SequenceModel(SequenceModelConfig(
        vocab_size=lyrics.characters.vocab_size, mixer="attention", d_model=config.d_model,
        num_layers=config.num_layers, num_heads=config.num_heads, residual=config.residual,
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


def with_layers(model: SequenceModel, order: Sequence[int], window: Window) -> float:
    """The loss with these of the trained layers, in this order."""
    layers = model.layers
    model.layers = nn.ModuleList(layers[index] for index in order)
    try:
        return loss(model, window).item()
    finally:
        model.layers = layers


def stream(model: SequenceModel, window: Window) -> tuple[list[float], list[float]]:
    """Before each layer and after the last: the mean norm of the residual stream; and the cosine between it and what a layer adds."""
    seen: list[Tensor] = []
    handles = [layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])) for layer in model.layers]
    handles.append(model.norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])))
    model(window.token_ids)
    for handle in handles:
        handle.remove()
    cosines = [torch.cosine_similarity(x, y - x, dim=-1).mean().item() for x, y in pairwise(seen)]
    return [x.norm(dim=-1).mean().item() for x in seen], cosines


@torch.no_grad()
def evaluate(model: SequenceModel, config: Config, *, limit: int | None = None) -> dict[str, float | list[float]]:
    """On the test part, in nats a character: the loss; on a slice of it the loss without each layer, with neighbours swapped, without
    n random layers; norm and direction of the residual stream.
    """
    window = consecutive_windows(song_lyrics().test, length=config.length)
    window = Window(*(part[:limit] for part in window))
    small = Window(*(part[: 16 if limit is None else 1] for part in window))
    parts = zip(window.token_ids.split(64), window.targets.split(64), strict=True)
    everything = list(range(config.num_layers))
    norms, cosines = stream(model, small)
    rng = seeding.generator(0)

    def without_some(number: int) -> float:
        losses = []
        for _ in range(DRAWS):
            left = sorted(torch.randperm(config.num_layers, generator=rng)[number:].tolist())
            losses.append(with_layers(model, left, small))
        return sum(losses) / DRAWS

    losses = [(loss(model, Window(*part)).item(), part[1].numel()) for part in parts]
    swapped = [[*everything[:i], i + 1, i, *everything[i + 2 :]] for i in everything[:-1]]
    return {
        "loss": sum(value * count for value, count in losses) / sum(count for _, count in losses),
        "whole": with_layers(model, everything, small),
        "without_layer": [with_layers(model, everything[:i] + everything[i + 1 :], small) for i in everything],
        "swapped": [with_layers(model, order, small) for order in swapped],
        "without_some": [without_some(n) for n in range(config.num_layers) if n in TAKEN_OUT],
        "stream_norm": norms,
        "stream_cosine": cosines,
    }
