import math

import torch
from torch import Tensor


def online_attention(scores: Tensor, values: Tensor, sizes: list[int]) -> Tensor:
    largest = scores.new_tensor(-math.inf)
    total, output = scores.new_zeros(()), values.new_zeros(values.shape[1])
    for tile, of_tile in zip(scores.split(sizes), values.split(sizes), strict=True):
        new = torch.maximum(largest, tile.max())
        rescale, weights = (new - largest).exp(), (tile - new).exp()
        total = rescale * total + weights.sum()
        output = rescale * output + weights @ of_tile
        largest = new
    return output / total
