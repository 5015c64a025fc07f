"""Cross-entropy of the next token, with label smoothing; and of a model with encoder and decoder that is given the right prefix.

A mean alone can't be put together with another: of one token with loss 4 and three tokens with mean 1 the mean is 1.75, and not
2.5. So what `fit` is to accumulate over several batches says over how many tokens it was taken, as a `MeanLoss`.

Book: §1.2.1
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from llmbook.data import IGNORED, Batch


@dataclass(frozen=True)
class MeanLoss:
    """A mean loss, to be differentiated, and how many things it is the mean of: real tokens, as a rule."""

    mean: Float[Tensor, ""]
    count: int


def cross_entropy(
    logits: Float[Tensor, "*batch vocab"], targets: Int[Tensor, "*batch"], *, label_smoothing: float = 0.0
) -> Float[Tensor, ""]:
    """Mean over the real tokens of −(1 − ε) log p[target] − ε/V Σᵥ log p[v], where log p = logits − log Σᵥ exp(logits[v]).

    The logarithms are never written out: with one logsumexp z a token, the loss is z − (1 − ε) logits[target] − ε/V Σᵥ logits[v].
    ε is `label_smoothing` (Szegedy et al. 2016, section 7; ε_ls = 0.1 in Vaswani et al. 2017, section 5.4), V the vocabulary's size.

    Args:
        logits: a score for every word of the vocabulary.
        targets: the right ids, already shifted; −100 is ignored.

    Returns:
        The loss in nats a token, computed and given in float32 (or float64) where the logits have half precision.

    Raises:
        ValueError: targets of another shape or outside the vocabulary, no real token, ε outside [0, 1).
    """
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must lie in [0, 1); got {label_smoothing}")
    require_targets(logits, targets)
    real = targets != IGNORED
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    of_target = logits.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    losses = logits.logsumexp(dim=-1) - (1 - label_smoothing) * of_target
    if label_smoothing:
        losses = losses - label_smoothing * logits.mean(dim=-1)
    return losses[real].mean()


def token_loss(
    logits: Float[Tensor, "*batch vocab"], targets: Int[Tensor, "*batch"], *, label_smoothing: float = 0.0
) -> MeanLoss:
    """`cross_entropy`, together with the number of real tokens: Σ counts · means / Σ counts is the mean over several batches."""
    return MeanLoss(
        mean=cross_entropy(logits, targets, label_smoothing=label_smoothing),
        count=int((targets != IGNORED).sum()),
    )


def teacher_forced(model: nn.Module, batch: Batch, *, label_smoothing: float = 0.0) -> MeanLoss:
    """The mean cross-entropy of each target token, given the source and the right tokens before it.

    Whatever the model would have written, the next step gets the right prefix (Williams and Zipser 1989), so that all
    steps are computed at once.

    Returns:
        The loss in nats a token, and the number of real target tokens.
    """
    masks = {"source_mask": batch.source_mask, "target_mask": batch.target_mask}
    logits = model(batch.source_ids, batch.target_ids, **masks)
    return token_loss(logits, batch.targets, label_smoothing=label_smoothing)


def require_targets(logits: Tensor, targets: Tensor) -> None:
    """Raises ValueError unless there is a target for each row of logits, inside the vocabulary or ignored, and not all are ignored."""
    *expected, vocab_size = logits.shape
    if tuple(targets.shape) != tuple(expected):
        raise ValueError(f"logits {tuple(logits.shape)} need targets {tuple(expected)}; got {tuple(targets.shape)}")
    real = targets[targets != IGNORED]
    if not real.numel():
        raise ValueError(f"all {targets.numel()} targets are ignored (−100): there is nothing to learn from")
    wrong = real[(real < 0) | (real >= vocab_size)]
    if wrong.numel():
        raise ValueError(f"targets must lie in 0 … {vocab_size - 1} or be −100; got {wrong[0].item()}")
