"""A made-up task of memory: names and values first, questions about them later.

Book: §1.1.2
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from llmbook import seeding
from llmbook.checks import is_integer
from llmbook.data.batch import IGNORED


class Recall(NamedTuple):
    """A batch: the tokens; after each question its answer, −100 elsewhere; how far back the answer stood, 0 elsewhere."""

    token_ids: Int[Tensor, "batch seq"]
    targets: Int[Tensor, "batch seq"]
    distances: Int[Tensor, "batch seq"]


def recall_batches(
    *, batch_size: int, seq_len: int, num_pairs: int, num_symbols: int, seed: int
) -> Callable[[int], Recall]:
    """A function from the step to its batch that depends on nothing but step and seed.

    A row starts with `num_pairs` pairs of a key and a value, all keys different; then comes filler, token 0, and in it, at random
    places, each key once more: there the value that belongs to it is to be said. Keys are 1 … num_symbols, values the next
    num_symbols ids. The multi-query associative recall of Arora et al. 2024, with questions spread evenly.

    Raises:
        ValueError: more pairs than symbols, or no room for pairs and questions.
    """
    sizes = (batch_size, seq_len, num_pairs, num_symbols)
    if (
        not all(map(is_integer, sizes))
        or not 1 <= num_pairs <= num_symbols
        or 3 * num_pairs > seq_len
        or batch_size < 1
    ):
        raise ValueError(
            f"num_pairs is {num_pairs}, num_symbols {num_symbols}, seq_len {seq_len}, batch_size {batch_size}; "
            "expected integers, 1 <= num_pairs <= num_symbols, seq_len >= 3 num_pairs, batch_size >= 1"
        )

    def batch(step: int) -> Recall:
        rng = seeding.generator(seed, step)

        def chosen(n: int) -> Tensor:
            return torch.rand(batch_size, n, generator=rng).argsort(dim=1)[:, :num_pairs]

        keys = 1 + chosen(num_symbols)
        values = 1 + num_symbols + torch.randint(num_symbols, (batch_size, num_pairs), generator=rng)
        asked_at = 2 * num_pairs + chosen(seq_len - 2 * num_pairs)
        told_at = 2 * torch.arange(num_pairs) + 1
        token_ids = torch.zeros(batch_size, seq_len, dtype=torch.long)
        token_ids[:, : 2 * num_pairs] = torch.stack([keys, values], dim=2).flatten(start_dim=1)
        token_ids.scatter_(1, asked_at, keys)
        targets = torch.full_like(token_ids, IGNORED).scatter_(1, asked_at, values)
        distances = torch.zeros_like(token_ids).scatter_(1, asked_at, asked_at - told_at)
        return Recall(token_ids, targets, distances)

    return batch
