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
        ValueError: no layer, a layer that `run` did not call exactly once, or weights of different shapes.
    """
    seen: dict[MultiHeadAttention, list[Tensor]] = {layer: [] for layer in layers}

    def look(layer: Any, args: tuple, kwargs: dict) -> None:
        seen[layer].append(layer.attention_weights(*args, **{name: kwargs[name] for name in kwargs if name != "cache"}))

    hooks = [layer.register_forward_pre_hook(look, with_kwargs=True) for layer in layers]
    try:
        with torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    if not layers or any(len(weights) != 1 for weights in seen.values()):
        raise ValueError(f"expected layers that run() calls once each; got calls {[len(w) for w in seen.values()]}")
    shapes = {tuple(weights[0].shape) for weights in seen.values()}
    if len(shapes) > 1:
        raise ValueError(f"expected layers that look from as many queries to as many keys; got shapes {sorted(shapes)}")
    return torch.stack([seen[layer][0] for layer in layers])
