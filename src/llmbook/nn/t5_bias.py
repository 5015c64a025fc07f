"""T5's relative positions: a learned number for each bucket of distances and each head.

Book: §2.2.2
"""

import math

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from llmbook.checks import is_integer, require_positive
from llmbook.nn.shaw_relative import relative_positions


def t5_bucket(
    relative_position: Int[Tensor, "*shape"],
    *,
    bidirectional: bool,
    num_buckets: int = 32,
    max_distance: int = 128,
) -> Int[Tensor, "*shape"]:
    """The bucket of a distance: one each up to m, then ever wider ones up to max_distance.

    With n buckets, m = ⌊n / 2⌋ and distance d: d where d < m, else
    min(n − 1, m + ⌊(n − m) ln(d / m) / ln(max_distance / m)⌋).
    Raffel et al. 2020, section 2.1, describe it; the formula is that of their released code,
    with logarithms in float32, as models were trained with. With T5's sizes no integer on a
    border falls below it; with others, such as 5 buckets up to 686, the same do as there.
    `bidirectional`: half of the buckets for keys up to the query, the other half for those
    behind it. Otherwise keys behind the query are in bucket 0.

    Args:
        relative_position: key index − query index.

    Raises:
        ValueError: positions that are no integers, fewer than 2 buckets for a direction, or a
            max_distance that is not above m.
    """
    require_buckets(bidirectional, num_buckets, max_distance)
    if relative_position.is_floating_point() or relative_position.dtype == torch.bool:
        raise ValueError(
            f"relative_position has dtype {relative_position.dtype}; expected an integer type"
        )
    if bidirectional:
        num_buckets //= 2
        first = (relative_position > 0) * num_buckets
        distance = relative_position.abs()
    else:
        first = 0
        distance = (-relative_position).clamp(min=0)
    exact = num_buckets // 2
    share = (distance.clamp(min=exact).float() / exact).log() / math.log(max_distance / exact)
    wide = exact + (share * (num_buckets - exact)).long()
    return first + torch.where(distance < exact, distance, wide.clamp(max=num_buckets - 1))


def require_buckets(bidirectional: bool, num_buckets: int, max_distance: int) -> None:
    """Raises ValueError unless a direction has at least 2, and not all of them of width 1."""
    least = 4 if bidirectional else 2
    if not is_integer(num_buckets) or num_buckets < least:
        raise ValueError(
            f"num_buckets is {num_buckets!r}; expected an integer, at least {least} "
            f"with bidirectional={bidirectional}"
        )
    exact = num_buckets // least
    if not is_integer(max_distance) or max_distance <= exact:
        raise ValueError(
            f"max_distance is {max_distance!r}; expected an integer above {exact}, "
            f"the number of buckets of width 1 with num_buckets = {num_buckets}"
        )


class T5Bias(nn.Module):
    """b_h(i, j) = row `t5_bucket`(j − i) of a trained table, column h; added to scores.

    Raffel et al. 2020, section 2.1: all layers of a stack share one table. Entries are drawn
    from N(0, 0.02²), so that at first no distance counts for much.

    Leaves out: T5's scores, which are not divided by √head_dim.

    Raises:
        ValueError: num_heads < 1, what `t5_bucket` refuses, a negative length, or more
            queries than keys.
    """

    def __init__(
        self,
        num_heads: int,
        *,
        bidirectional: bool,
        num_buckets: int = 32,
        max_distance: int = 128,
    ):
        super().__init__()
        require_positive(num_heads=num_heads)
        require_buckets(bidirectional, num_buckets, max_distance)
        self.bidirectional = bidirectional
        self.num_buckets, self.max_distance = num_buckets, max_distance
        self.table = nn.Parameter(torch.randn(num_buckets, num_heads) * 0.02)

    def forward(self, query_len: int, key_len: int) -> Float[Tensor, "heads query key"]:
        """The queries are the last of the keys' positions."""
        bucket = t5_bucket(
            relative_positions(query_len, key_len).to(self.table.device),
            bidirectional=self.bidirectional,
            num_buckets=self.num_buckets,
            max_distance=self.max_distance,
        )
        return rearrange(self.table[bucket], "t s h -> h t s")
