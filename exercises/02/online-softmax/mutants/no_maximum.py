from torch import Tensor


def online_attention(scores: Tensor, values: Tensor, sizes: list[int]) -> Tensor:
    total, output = scores.new_zeros(()), values.new_zeros(values.shape[1])
    for tile, of_tile in zip(scores.split(sizes), values.split(sizes), strict=True):
        weights = tile.exp()
        total = total + weights.sum()
        output = output + weights @ of_tile
    return output / total
