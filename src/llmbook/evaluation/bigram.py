"""What a count of pairs gives: the baseline that looks at one token back.

Book: §1.1.2
"""

import torch
from jaxtyping import Int
from torch import Tensor

from llmbook.checks import require_above_zero, require_positive


def bigram_loss(
    train_ids: Int[Tensor, "train"], test_ids: Int[Tensor, "test"], *, vocab_size: int, weight: float
) -> float:
    """Nats a token of `test_ids`, from the second on, when each is guessed from the one before it.

    p(b | a) = (n(a, b) + weight · p(b)) / (n(a) + weight), with n counted in `train_ids` and p(b) = (n(b) + 1) / (N + vocab_size): a
    Dirichlet prior around the frequencies (MacKay and Peto 1995, section 3). The weight is chosen on a validation set.

    Leaves out: longer contexts and better smoothing, such as Kneser and Ney's (chapter 3); a table for vocabularies beyond some 10,000.

    Raises:
        ValueError: vocab_size < 1, a weight that is not positive, fewer than two tokens on either side, ids outside the vocabulary.
    """
    require_positive(vocab_size=vocab_size)
    require_above_zero(weight=weight)
    for name, ids in (("train_ids", train_ids), ("test_ids", test_ids)):
        if len(ids) < 2 or ids.min() < 0 or ids.max() >= vocab_size:
            span = f" from {ids.min()} to {ids.max()}" if len(ids) else ""
            raise ValueError(
                f"{name}: expected two tokens or more with ids from 0 to {vocab_size - 1}; got {len(ids)}{span}"
            )
    frequency = 1.0 + train_ids.bincount(minlength=vocab_size).double()
    pairs = torch.zeros(vocab_size, vocab_size, dtype=torch.float64)
    one = torch.ones((), dtype=torch.float64)
    pairs.index_put_((train_ids[:-1], train_ids[1:]), one, accumulate=True)
    guess = pairs + weight * frequency / frequency.sum()
    guess /= guess.sum(dim=1, keepdim=True)
    return -guess[test_ids[:-1], test_ids[1:]].log().mean().item()
