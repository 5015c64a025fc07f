from torch import Tensor


def add_positions(x: Tensor, table: Tensor, first: int = 0) -> Tensor:
    return x + table[first + 1 : first + 1 + x.size(1)]
