"""ALiBi: scores sink in proportion to distance, at a slope of each head's own.

Book: §2.2.2
"""

import torch
from jaxtyping import Float
from torch import Tensor

from llmbook.checks import require_positive
from llmbook.nn.shaw_relative import relative_positions


def alibi_slopes(num_heads: int) -> Float[Tensor, "heads"]:
    """2^(−8 i / num_heads), i = 1 … num_heads, where num_heads is a power of two.

    Press et al. 2022, section 3. Other numbers follow the authors' released code, since models
    were trained with it: the slopes of the power of two below, then those with i = 1, 3, 5, …
    of twice that power. So 12 heads have 2^−1, …, 2^−8 and then .7071, .3536, .1768, .0884.
    The paper's text, read as one geometric sequence, would give .6300, .3969, …

    Raises:
        ValueError: num_heads < 1.
    """
    require_positive(num_heads=num_heads)
    power = 2 ** (num_heads.bit_length() - 1)
    between = geometric(2 * power)[::2]
    return torch.cat([geometric(power), between[: num_heads - power]]).float()


def geometric(count: int) -> Float[Tensor, "count"]:
    """2^(−8 i / count), i = 1 … count."""
    return 2.0 ** (-8 * torch.arange(1, count + 1, dtype=torch.float64) / count)


def alibi_bias(
    num_heads: int, query_len: int, key_len: int
) -> Float[Tensor, "heads query key"]:
    """−m_h |i − j| for query i and key j, where m_h is a head's slope; the queries come last.

    Press et al. 2022, section 3. They have keys of the past alone. A key of the future gets
    the same as one as far in the past; where a causal mask hides it, that makes no difference.

    Leaves out: adding −m_h (i − j) inside the kernel, which needs no [heads, query, key].

    Raises:
        ValueError: num_heads < 1, a negative length, or more queries than keys.
    """
    distance = relative_positions(query_len, key_len).abs()
    return -alibi_slopes(num_heads)[:, None, None] * distance
