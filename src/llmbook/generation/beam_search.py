"""Beam search: the likeliest continuations, looked for along several at once.

Book: §3.1.1
"""

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from llmbook.checks import require_positive
from llmbook.generation.generate import LanguageModel
from llmbook.generation.inputs import (
    BUDGET,
    bytes_of_row,
    require_budget,
    require_in_vocabulary,
    require_prompt,
    require_scores,
)
from llmbook.nn import at_least_float32


@dataclass(frozen=True)
class Beams:
    """The hypotheses of each prompt, best first: the prompt and what follows, filled up with `eos_id`, and their scores."""

    token_ids: Int[Tensor, "batch num_beams total"]
    scores: Float[Tensor, "batch num_beams"]


@runtime_checkable
class RowByRow(Protocol):
    """A language model that has something for each row, a source for instance, and has to be told that beams share it."""

    def repeated(self, n: int) -> LanguageModel:
        """The same model for n neighbouring rows in place of each."""


@torch.no_grad()
def beam_search(
    model: LanguageModel,
    token_ids: Int[Tensor, "batch prompt"],
    *,
    num_beams: int,
    max_new_tokens: int,
    eos_id: int | None = None,
    length_penalty: float = 1.0,
    budget: int = BUDGET,
) -> Beams:
    """The best `num_beams` continuations y of each prompt that the search meets, by score(y) = Σₜ log p(yₜ | y₍<ₜ₎) / |y|^length_penalty.

    |y| counts the new tokens, the end too. Each step extends the `num_beams` live hypotheses by every token and looks at the best
    2 · `num_beams` by Σ log p: those among the first half that end are kept, the best of those that do not end live on (Sutskever et al.
    2014, section 3.2; the normalization by length is Wu et al. 2016, section 7, with a plainer divisor). With one beam only the best is
    looked at, which is greedy decoding. Among equals the first counts: the better beam's, then the lower id.

    It stops when no live hypothesis can come among the kept ones. log p ≤ 0, so a sum never rises: with a positive penalty S becomes at
    best S / max_new_tokens^length_penalty, otherwise S / |y|^length_penalty with the present |y|. At `max_new_tokens` what lives is kept.

    Put the model into `eval()` first. The model's cache needs `reorder(rows)`; a model that has something of its own for each prompt,
    as a decoder has its source, needs `repeated(n)`.

    Leaves out: padded prompts, diverse beams, reading the prompt once for all of its beams.

    Args:
        max_new_tokens: the greatest |y|.
        eos_id: ends a hypothesis.
        length_penalty: 0 compares sums, 1 means; greater ones prefer longer hypotheses.
        budget: bytes that this may take beside the weights, as far as the model's sizes tell.

    Returns:
        For each prompt `num_beams` hypotheses. Where fewer exist, the last have the score −∞.

    Raises:
        ValueError: before any work: prompts that are empty or no integers, num_beams or max_new_tokens below 1, more than the budget, a
            length_penalty that is not finite. On the way: more beams than there are sequences, an eos_id outside the vocabulary,
            logits from which no probability follows.
    """
    require_prompt(token_ids)
    require_positive(num_beams=num_beams, max_new_tokens=max_new_tokens)
    if not math.isfinite(length_penalty):
        raise ValueError(f"length_penalty is {length_penalty}; expected a finite number")
    batch, prompt = token_ids.shape
    asked = f"{batch} prompts of {prompt} tokens, max_new_tokens {max_new_tokens} and num_beams {num_beams}"
    require_budget(batch * num_beams, bytes_of_row(model, prompt + max_new_tokens), budget, asked)

    if isinstance(model, RowByRow):
        model = model.repeated(num_beams)
    first_row = num_beams * torch.arange(batch, device=token_ids.device)[:, None]
    cache = model.make_cache(batch * num_beams)
    live_ids = kept_ids = repeat(token_ids, "b t -> b k t", k=num_beams)
    new_ids = rearrange(live_ids, "b k t -> (b k) t")
    sums = None
    for length in range(1, max_new_tokens + 1):
        log_probs = rearrange(next_log_probs(model, new_ids, cache), "(b k) v -> b k v", k=num_beams)
        vocab_size = log_probs.shape[-1]
        if sums is None:
            require_in_vocabulary(vocab_size, eos_id=eos_id)
            require_sequences(vocab_size, num_beams, max_new_tokens)
            sums = log_probs.new_full((batch, num_beams), -math.inf)
            kept_scores = sums.clone()
            sums[:, 0] = 0.0  # the beams of a prompt are still the same: one of them counts

        candidates = rearrange(sums[:, :, None] + log_probs, "b k v -> b (k v)")
        looked_at = 1 if num_beams == 1 else min(2 * num_beams, num_beams * vocab_size)
        sums, index = greatest(candidates, looked_at)
        parent, token = index // vocab_size, index % vocab_size
        ids = torch.cat([pick(live_ids, parent), token[:, :, None]], dim=2)
        ended = torch.zeros_like(token, dtype=torch.bool) if eos_id is None else token == eos_id

        scores = (sums / length**length_penalty).masked_fill(~ended, -math.inf)
        kept_ids = F.pad(kept_ids, (0, 1), value=eos_id or 0)
        kept_scores, kept_ids = best(kept_scores, kept_ids, scores[:, :num_beams], ids[:, :num_beams])
        sums, order = greatest(sums.masked_fill(ended, -math.inf), num_beams)
        live_ids = pick(ids, order)

        greatest_length = max_new_tokens if length_penalty > 0 else length
        if (sums[:, 0] / greatest_length**length_penalty <= kept_scores[:, -1]).all():
            break
        cache.reorder(rearrange(first_row + parent.gather(1, order), "b k -> (b k)"))
        new_ids = rearrange(live_ids[:, :, -1:], "b k t -> (b k) t")
    kept_scores, kept_ids = best(kept_scores, kept_ids, sums / length**length_penalty, live_ids)
    return Beams(token_ids=kept_ids, scores=kept_scores)


def next_log_probs(
    model: LanguageModel, new_ids: Int[Tensor, "rows new"], cache: object
) -> Float[Tensor, "rows vocab"]:
    """log p of each token that may come next, in float32 where the logits are of a half type.

    Raises:
        ValueError: logits with NaN or +∞, or −∞ alone.
    """
    logits = model.forward(new_ids, cache=cache)[:, -1]
    require_scores(logits)
    return at_least_float32(logits).log_softmax(dim=-1)


def require_sequences(vocab_size: int, num_beams: int, max_new_tokens: int) -> None:
    """Raises ValueError for more beams than there are sequences."""
    sequences = vocab_size ** min(max_new_tokens, 64)  # of two tokens that are more than any number of beams
    if num_beams > sequences:
        raise ValueError(
            f"num_beams is {num_beams}; {vocab_size} tokens make {sequences} sequences of length {max_new_tokens}"
        )


def greatest(scores: Float[Tensor, "batch n"], k: int) -> tuple[Float[Tensor, "batch k"], Int[Tensor, "batch k"]]:
    """The k greatest of each row and where they stand, best first; of equals the first, which `topk` doesn't promise."""
    left, found = scores.clone(), []
    for _ in range(k):
        found.append(left.max(dim=1, keepdim=True))
        left.scatter_(1, found[-1].indices, -math.inf)
    return torch.cat([one.values for one in found], dim=1), torch.cat([one.indices for one in found], dim=1)


def pick(token_ids: Int[Tensor, "batch some total"], which: Int[Tensor, "batch k"]) -> Int[Tensor, "batch k total"]:
    """Of each prompt the hypotheses with these indices."""
    return token_ids.gather(1, repeat(which, "b k -> b k t", t=token_ids.shape[2]))


def best(
    scores: Float[Tensor, "batch k"],
    token_ids: Int[Tensor, "batch k total"],
    other_scores: Float[Tensor, "batch n"],
    other_ids: Int[Tensor, "batch n total"],
) -> tuple[Float[Tensor, "batch k"], Int[Tensor, "batch k total"]]:
    """The k best of both, best first; of equals, those that stand first."""
    both = torch.cat([scores, other_scores], dim=1).sort(dim=1, descending=True, stable=True)
    k = scores.shape[1]
    return both.values[:, :k], pick(torch.cat([token_ids, other_ids], dim=1), both.indices[:, :k])
