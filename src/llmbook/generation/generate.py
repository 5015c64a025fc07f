"""Generation token by token: greedy, or sampled at a temperature.

Book: §1.2.1
"""

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

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


@torch.no_grad()
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

    Raises:
        ValueError: an empty prompt, padding on the right, a negative temperature or number of tokens, a pad_id without eos_id.
    """
    require_prompt(token_ids)
    if temperature < 0 or max_new_tokens < 0:
        raise ValueError(
            f"expected temperature >= 0 and max_new_tokens >= 0; got temperature {temperature}, max_new_tokens {max_new_tokens}"
        )
    if token_mask is not None and (token_mask.shape != token_ids.shape or not token_mask[:, -1].all()):
        raise ValueError(
            f"token_mask must have the shape {tuple(token_ids.shape)} of token_ids and True in its last column "
            f"(prompts are padded on the left); got shape {tuple(token_mask.shape)}"
        )
    if pad_id is not None and eos_id is None:
        raise ValueError(f"pad_id {pad_id} fills rows after eos_id; got no eos_id")
    if pad_id is None:
        pad_id = eos_id

    cache = model.make_cache(token_ids.shape[0]) if use_cache else None
    new_ids, new_mask = token_ids, token_mask
    ended = torch.zeros_like(token_ids[:, 0], dtype=torch.bool)
    for _ in range(max_new_tokens):
        logits = model.forward(new_ids, token_mask=new_mask, cache=cache)[:, -1]
        next_ids = sample(logits, temperature=temperature, generator=generator)
        if eos_id is not None:
            next_ids = next_ids.masked_fill(ended, pad_id)
            ended = ended | (next_ids == eos_id)
        token_ids = torch.cat([token_ids, next_ids[:, None]], dim=1)
        if token_mask is not None:
            token_mask = torch.cat([token_mask, torch.ones_like(token_mask[:, :1])], dim=1)
        if ended.all():
            break
        width = 1 if use_cache else token_ids.shape[1]
        new_ids, new_mask = token_ids[:, -width:], None if token_mask is None else token_mask[:, -width:]
    return token_ids


def sample(
    logits: Float[Tensor, "batch vocab"], *, temperature: float, generator: torch.Generator | None = None
) -> Int[Tensor, "batch"]:
    """One id a row from softmax(logits / temperature); at temperature 0 the likeliest, the first of equals."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    probabilities = (at_least_float32(logits) / temperature).softmax(dim=-1)
    return torch.multinomial(probabilities, num_samples=1, generator=generator).squeeze(-1)


def require_prompt(token_ids: Tensor) -> None:
    """Raises ValueError unless there is at least one row, and a token in each."""
    if token_ids.ndim != 2 or 0 in token_ids.shape:
        raise ValueError(f"a prompt needs at least one token; got token_ids of shape {tuple(token_ids.shape)}")
