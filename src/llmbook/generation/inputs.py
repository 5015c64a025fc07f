"""What `generate` and `beam_search` refuse: prompts and ids that are none, logits without probabilities, more memory than a bound.

Book: §1.2.1
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from llmbook.checks import is_integer

BUDGET = 2 * 2**30  # bytes that one decoding may take beside the weights, unless told otherwise


@runtime_checkable
class Weighed(Protocol):
    """A model that knows from its sizes what a row takes in memory; of one that doesn't, only the ids are counted."""

    def row_bytes(self, length: int) -> int:
        """Bytes for a row of up to `length` tokens: what is kept of it, keys and values, and the scores of one step."""


def bytes_of_row(model: object, length: int) -> int:
    """Bytes of a row of up to `length` tokens, its ids counted."""
    return 8 * length + (model.row_bytes(length) if isinstance(model, Weighed) else 0)


def require_budget(rows: int, each: int, budget: int, asked: str) -> None:
    """Raises ValueError if so many rows need more bytes than the budget; `asked` says in words where they come from."""
    if rows * each > budget:
        raise ValueError(
            f"{asked} make {rows} rows of {each} bytes, {rows * each // 2**20} MiB; "
            f"the budget is {budget // 2**20} MiB, enough for {budget // each} rows"
        )


def require_prompt(token_ids: Tensor) -> None:
    """Raises ValueError unless there is at least one row, a token in each, and integers."""
    if not isinstance(token_ids, Tensor):
        raise ValueError(f"token_ids are a {type(token_ids).__name__}; expected a tensor [batch, tokens]")
    if token_ids.is_meta:
        raise ValueError("token_ids are on the meta device, where no token has a value; expected another device")
    if token_ids.ndim != 2 or 0 in token_ids.shape:
        raise ValueError(f"a prompt needs at least one token; got token_ids of shape {tuple(token_ids.shape)}")
    if token_ids.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"token_ids are {token_ids.dtype}; expected integers, torch.int32 or torch.int64")


def require_in_vocabulary(vocab_size: int, **ids: int | None) -> None:
    """Raises ValueError unless each id, where it is given, is one of the vocabulary's."""
    for name, id_ in ids.items():
        if id_ is not None and not (is_integer(id_) and 0 <= id_ < vocab_size):
            raise ValueError(f"{name} is {id_}; expected 0 <= {name} < vocab_size = {vocab_size}")


def require_scores(logits: Tensor) -> None:
    """Raises ValueError unless probabilities follow from each row: no NaN, no +∞, and not −∞ alone.

    The greatest logit tells, since NaN is the greatest of all for torch; so a step is looked through once.
    """
    finite = logits.amax(dim=-1).isfinite()
    if not finite.all():
        row = (~finite).nonzero()[0].item()
        raise ValueError(f"the model's logits must be finite or -inf, not all -inf; row {row} gives NaN probabilities")
