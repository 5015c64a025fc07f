import math

import torch
from torch import Tensor


def online_attention(scores: Tensor, values: Tensor, sizes: list[int]) -> Tensor:
    """Attention of one query to keys that arrive tile by tile.

    Args:
        scores: [S], of the query with each key; −∞ where the key is hidden.
        values: [S, d_v].
        sizes: the number of keys in each tile, in order; they add up to S.

    Returns:
        [d_v], the mean of the values with weights softmax(scores); zeros if no key is
        visible.
    """
    largest = scores.new_tensor(-math.inf)
    total, output = scores.new_zeros(()), values.new_zeros(values.shape[1])
    for tile, of_tile in zip(scores.split(sizes), values.split(sizes), strict=True):
        new = torch.maximum(largest, tile.max())
        shift = new.masked_fill(new == -math.inf, 0.0)  # nothing is visible yet
        rescale, weights = (largest - shift).exp(), (tile - shift).exp()
        total = rescale * total + weights.sum()
        output = rescale * output + weights @ of_tile
        largest = new
    return output / total.clamp(min=1)
