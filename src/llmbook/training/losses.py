"""Cross-entropy of the next token, with label smoothing; and of a model with encoder and decoder that is given the right prefix.

Book: §1.2.1
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from llmbook.data import Batch

IGNORED = -100


def cross_entropy(
    logits: Float[Tensor, "*batch vocab"], targets: Int[Tensor, "*batch"], *, label_smoothing: float | int = 0.0
) -> Float[Tensor, ""]:
    """Mean over the real tokens of −(1 − ε) log p[target] − ε/V Σᵥ log p[v], where log p = logits − log Σᵥ exp(logits[v]).

    The logarithms are never written out: with one logsumexp z a token, the loss is z − (1 − ε) logits[target] − ε/V Σᵥ logits[v].
    ε is `label_smoothing` (Szegedy et al. 2016, section 7; ε_ls = 0.1 in Vaswani et al. 2017, section 5.4), V the vocabulary's size.

    Args:
        logits: a score for every word of the vocabulary.
        targets: the right ids, already shifted; −100 is ignored.

    Returns:
        The loss in nats a token.

    Raises:
        ValueError: targets of another shape or outside the vocabulary, no real token, ε outside [0, 1).
    """
    vocab_size = logits.shape[-1]
    real = targets != IGNORED
    if logits.shape[:-1] != targets.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)} need targets {tuple(logits.shape[:-1])}; got {tuple(targets.shape)}"
        )
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must lie in [0, 1); got {label_smoothing}")
    if not real.any():
        raise ValueError(f"all {targets.numel()} targets are ignored (−100): there is nothing to learn from")
    wrong = targets[real & ((targets < 0) | (targets >= vocab_size))]
    if wrong.numel():
        raise ValueError(f"targets must lie in 0 … {vocab_size - 1} or be −100; got {wrong[0].item()}")

    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    of_target = logits.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
    losses = logits.logsumexp(dim=-1) - (1 - label_smoothing) * of_target
    if label_smoothing:
        losses = losses - label_smoothing * logits.mean(dim=-1)
    return losses[real].mean()


def teacher_forced(model: nn.Module, batch: Batch, *, label_smoothing: float | int = 0.0) -> Float[Tensor, ""]:
    """The mean cross-entropy of each target token, given the source and the right tokens before it.

    Whatever the model would have written, the next step gets the right prefix (Williams and Zipser 1989), so that all
    steps are computed at once.

    Returns:
        The loss in nats a token.
    """
    masks = {"source_mask": batch.source_mask, "target_mask": batch.target_mask}
    logits = model(batch.source_ids, batch.target_ids, **masks)
    return cross_entropy(logits, batch.targets, label_smoothing=label_smoothing)
