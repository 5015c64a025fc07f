import math

from torch import Tensor


def attention_weights(query: Tensor, key: Tensor, visible: Tensor) -> Tensor:
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    return (
        scores.masked_fill(~visible, 1e-9)
        .softmax(dim=-1)
        .masked_fill(~visible.any(dim=-1, keepdim=True), 0.0)
    )
