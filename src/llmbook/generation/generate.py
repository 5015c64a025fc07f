"""Generation token by token: greedy, or sampled at a temperature.

Book: §1.2.1
"""

import math
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from llmbook.checks import require_at_least, require_mask
from llmbook.generation.inputs import (
    BUDGET,
    bytes_of_row,
    require_budget,
    require_in_vocabulary,
    require_prompt,
    require_scores,
)
from llmbook.nn import at_least_float32


@runtime_checkable
class LanguageModel(Protocol):
    """What `generate` asks of a model. With a cache, `token_ids` and `token_mask` are those of the new tokens only."""

    def forward(
        self,
        token_ids: Int[Tensor, "batch seq"],
        *,
        token_mask: Bool[Tensor, "batch seq"] | None = None,
        cache: Any = None,
    ) -> Float[Tensor, "batch seq vocab"]:
        """The scores of the next token after each token; True in the mask is a real token."""

    def make_cache(self, batch_size: int) -> Any:
        """An empty cache for keys and values."""


def generate(
    model: LanguageModel,
    token_ids: Int[Tensor, "batch prompt"],
    *,
    token_mask: Bool[Tensor, "batch prompt"] | None = None,
    max_new_tokens: int,
    temperature: float = 1.0,
    eos_id: int | None = None,
    pad_id: int | None = None,
    generator: torch.Generator | None = None,
    use_cache: bool = True,
    budget: int = BUDGET,
) -> Int[Tensor, "batch total"]:
    """Prompts and what follows them, drawn token by token from p(v) ∝ exp(logits[v] / temperature).

    Put the model into `eval()` first, or dropout will take part.

    Args:
        token_ids: the prompts; shorter ones are padded on the left.
        token_mask: True = real token; needed where there is padding.
        max_new_tokens: stops after so many, or when every row has ended.
        temperature: 0 takes the likeliest token, the first of equals.
        eos_id: ends a row; what follows it there is `pad_id`, by default `eos_id` again.
        generator: where the draws come from, by default torch's global one.
        use_cache: False computes the whole prefix again for each token, with the same outcome.
        budget: bytes that this may take beside the weights, as far as the model's sizes tell.

    Raises:
        ValueError: before any work: prompts that are empty or no integers, padding on the right, a mask that is not boolean, a temperature
            that is negative or not finite, a negative number of tokens, more than the budget, a pad_id without eos_id. On the way: an
            eos_id or pad_id outside the vocabulary, logits from which no probability follows.
    """
    written = stream(
        model,
        token_ids,
        token_mask=token_mask,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        eos_id=eos_id,
        pad_id=pad_id,
        generator=generator,
        use_cache=use_cache,
        budget=budget,
    )
    return torch.cat([token_ids, *(next_ids[:, None] for next_ids in written)], dim=1)


def stream(
    model: LanguageModel,
    token_ids: Int[Tensor, "batch prompt"],
    *,
    token_mask: Bool[Tensor, "batch prompt"] | None = None,
    max_new_tokens: int,
    temperature: float = 1.0,
    eos_id: int | None = None,
    pad_id: int | None = None,
    generator: torch.Generator | None = None,
    use_cache: bool = True,
    budget: int = BUDGET,
) -> Iterator[Int[Tensor, "batch"]]:
    """What `generate` appends, one id a row at a time, as soon as it is drawn.

    Raises:
        ValueError: as `generate`, before anything is asked of the iterator where it says "before any work".
    """
    require_prompt(token_ids)
    require_at_least(0, max_new_tokens=max_new_tokens)
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature is {temperature}; expected 0 <= temperature < inf")
    if token_mask is not None:
        require_mask(token_mask, token_ids.shape)
        if not token_mask[:, -1].all():
            raise ValueError("token_mask must be True in its last column: prompts are padded on the left")
    batch, prompt = token_ids.shape
    each = bytes_of_row(model, prompt + max_new_tokens)
    require_budget(batch, each, budget, f"{batch} prompts of {prompt} tokens and max_new_tokens {max_new_tokens}")
    if pad_id is not None and eos_id is None:
        raise ValueError(f"pad_id {pad_id} fills rows after eos_id; got no eos_id")
    if pad_id is None:
        pad_id = eos_id

    def steps(token_ids: Tensor, token_mask: Tensor | None) -> Iterator[Tensor]:
        cache = model.make_cache(batch) if use_cache else None
        new_ids, new_mask = token_ids, token_mask
        ended = torch.zeros_like(token_ids[:, 0], dtype=torch.bool)
        for _ in range(max_new_tokens):
            with torch.no_grad():
                logits = model.forward(new_ids, token_mask=new_mask, cache=cache)[:, -1]
            require_in_vocabulary(logits.shape[-1], eos_id=eos_id, pad_id=pad_id)
            next_ids = sample(logits, temperature=temperature, generator=generator)
            if eos_id is not None:
                next_ids = next_ids.masked_fill(ended, pad_id)
                ended = ended | (next_ids == eos_id)
            yield next_ids
            if eos_id is not None and ended.all():
                break
            token_ids = torch.cat([token_ids, next_ids[:, None]], dim=1)
            if token_mask is not None:
                token_mask = torch.cat([token_mask, torch.ones_like(token_mask[:, :1])], dim=1)
            width = 1 if use_cache else token_ids.shape[1]
            new_ids, new_mask = token_ids[:, -width:], None if token_mask is None else token_mask[:, -width:]

    return steps(token_ids, token_mask)


def sample(
    logits: Float[Tensor, "batch vocab"], *, temperature: float, generator: torch.Generator | None = None
) -> Int[Tensor, "batch"]:
    """One id a row from softmax(logits / temperature); at temperature 0 the likeliest, the first of equals.

    Raises:
        ValueError: logits from which no probability follows.
    """
    if temperature == 0:
        require_scores(logits)
        return logits.argmax(dim=-1)
    scaled = at_least_float32(logits) / temperature
    require_scores(scaled)
    return torch.multinomial(scaled.softmax(dim=-1), num_samples=1, generator=generator).squeeze(-1)
