import math

from torch import Tensor


def attention_weights(query: Tensor, key: Tensor, visible: Tensor) -> Tensor:
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    nothing = ~visible.any(dim=-1, keepdim=True)
    scores = scores.masked_fill(~visible, -math.inf).masked_fill(nothing, 0.0)
    return scores.softmax(dim=-1).masked_fill(nothing, 0.0)
