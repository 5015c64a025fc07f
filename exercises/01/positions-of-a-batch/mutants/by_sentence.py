from torch import Tensor


def add_positions(x: Tensor, table: Tensor, first: int = 0) -> Tensor:
    return x + table[first : first + x.size(0)].unsqueeze(1)
