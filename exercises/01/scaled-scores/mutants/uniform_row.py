import math

from torch import Tensor


def attention_weights(query: Tensor, key: Tensor, visible: Tensor) -> Tensor:
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    return scores.masked_fill(~visible, -1e9).softmax(dim=-1)
