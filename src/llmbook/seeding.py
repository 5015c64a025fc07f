"""One random generator per experiment, so that inserting a cell above changes nothing below.

Book: §1.2.1
"""

import hashlib

import torch


def generator(seed: int, *stream: int, device: str | torch.device = "cpu") -> torch.Generator:
    """A new generator; each further number names an independent stream of the same seed, such as an epoch.

    Args:
        seed: the experiment's seed; alone it is torch's own `manual_seed(seed)`.
        stream: numbers that are hashed with the seed, so that (0, 1) and (1, 0) have nothing in common.
        device: where the numbers are drawn.
    """
    if stream:
        digest = hashlib.sha256(repr((seed, *stream)).encode()).digest()
        seed = int.from_bytes(digest[:8], "big") >> 1
    return torch.Generator(device=device).manual_seed(seed)
