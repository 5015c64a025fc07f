from torch import Tensor


def online_attention(scores: Tensor, values: Tensor, sizes: list[int]) -> Tensor:
    total, output = scores.new_zeros(()), values.new_zeros(values.shape[1])
    for tile, of_tile in zip(scores.split(sizes), values.split(sizes), strict=True):
        new = tile.max()
        weights = (tile - new).exp()
        total = weights.sum()
        output = weights @ of_tile
    return output / total
