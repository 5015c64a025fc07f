"""The attention weights of a model's layers while it runs, to be looked at.

Book: §1.2.1
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from llmbook.nn import MultiHeadAttention


def attention_maps(
    layers: Sequence[MultiHeadAttention], run: Callable[[], object]
) -> Float[Tensor, "layers batch heads query key"]:
    """The weights of each layer while `run()` calls the model once.

    Raises:
        ValueError: no layer, a layer that `run` did not call exactly once, or weights of
            different shapes.
    """
    seen: dict[MultiHeadAttention, list[Tensor]] = {layer: [] for layer in layers}

    def look(layer: Any, args: tuple, kwargs: dict) -> None:
        inputs = {name: kwargs[name] for name in kwargs if name != "cache"}
        seen[layer].append(layer.attention_weights(*args, **inputs))

    hooks = [layer.register_forward_pre_hook(look, with_kwargs=True) for layer in layers]
    try:
        with torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    require_one_of_one_shape(list(seen.values()))
    return torch.stack([seen[layer][0] for layer in layers])


def require_one_of_one_shape(found: list[list[Tensor]]) -> None:
    """Raises ValueError unless each layer gave its weights once, all of the same shape."""
    if not found or any(len(weights) != 1 for weights in found):
        calls = [len(weights) for weights in found]
        raise ValueError(f"expected layers that run() calls once each; got calls {calls}")
    shapes = {tuple(weights[0].shape) for weights in found}
    if len(shapes) > 1:
        raise ValueError(
            "expected layers that look from as many queries to as many keys; "
            f"got shapes {sorted(shapes)}"
        )
