"""What a second core saves in training one sequence: attention, a convolution and an LSTM of one size, all by PyTorch's kernels.

Needs two cores with nothing else to do.

Book: §1.3.1
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from llmbook.models import SequenceModel, SequenceModelConfig
from llmbook.nn.fused_lstm import fuse


@dataclass(frozen=True, kw_only=True)
class Config:
    mixer: str
    d_model: int
    seq_len: int = 1024
    num_layers: int = 1
    vocab_size: int = 100
    rounds: int = 11

    @property
    def num_heads(self) -> int:
        return self.d_model // 32


CONFIGS = {
    f"{mixer}, {width} wide": Config(mixer=mixer, d_model=width)
    for mixer in ("recurrence", "convolution", "attention")
    for width in (64, 128, 256, 512)
}
SEEDS = (0, 1, 2, 3, 4)
DATA = ()


def fused(q: Tensor, k: Tensor, v: Tensor, **_: object) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure(config: Config, seed: int, *, limit: int | None = None) -> dict[str, float]:
    """Microseconds a token, forward and backward, with one thread and with two in turn: the median, and that of the ratio.

    With a limit, the short computation's result in their place: times are different each time.
    """
    if (os.cpu_count() or 1) < 2:
        raise ValueError("two_cores needs a machine with two cores; this one has one")
    torch.manual_seed(seed)
    seq_len = config.seq_len if limit is None else limit
    model = SequenceModel(SequenceModelConfig(
        vocab_size=config.vocab_size, mixer=config.mixer, d_model=config.d_model,
        num_layers=config.num_layers, num_heads=config.num_heads, max_seq_len=seq_len,
    ))  # fmt: skip
    fuse(model)
    ids = torch.randint(config.vocab_size, (1, seq_len))

    def loss() -> Tensor:
        with patch("llmbook.nn.multi_head.scaled_dot_product_attention", fused):
            return model(ids).logsumexp(dim=-1).sum()

    def seconds(number: int) -> float:
        with threads(number):
            start = time.perf_counter()
            loss().backward()
            return time.perf_counter() - start

    if limit is not None:
        return {"loss": loss().item()}
    seconds(1), seconds(2)
    one, two = zip(*((seconds(1), seconds(2)) for _ in range(config.rounds)), strict=True)
    return {
        "one": 1e6 * median(one) / ids.numel(),
        "two": 1e6 * median(two) / ids.numel(),
        "faster": median(a / b for a, b in zip(one, two, strict=True)),
    }
