"""The loss of each token by itself, and how long ago it was last seen.

Book: §1.1.2
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from llmbook.data import Window


@torch.no_grad()
def token_losses(model: Callable[[Tensor], Tensor], window: Window, *, rows: int = 16) -> Float[Tensor, "batch length"]:
    """−log p of each target, in nats; so many rows are computed at a time."""
    parts = zip(window.token_ids.split(rows), window.targets.split(rows), strict=True)
    return torch.cat([
        -model(ids).log_softmax(dim=-1).gather(-1, targets[:, :, None])[:, :, 0] for ids, targets in parts
    ])  # fmt: skip


def last_seen(window: Window) -> Int[Tensor, "batch length"]:
    """How many tokens back in its row each target last occurred; 0 if it did not."""
    same = window.targets[:, :, None] == window.token_ids[:, None, :]  # [row, place of the target, place before it]
    length = same.shape[1]
    back = torch.arange(1, length + 1)[:, None] - torch.arange(length)  # the target of place t is token t + 1
    back = torch.where(same & (back > 0), back, length + 1).amin(dim=-1)
    return torch.where(back > length, 0, back)
