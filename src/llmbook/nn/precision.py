"""Half types are summed in single precision.

Book: §6.3.2
"""

import torch
from jaxtyping import Float
from torch import Tensor


def at_least_float32(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """float16 and bfloat16 as float32; float32 and float64 as they are.

    float16 ends at 65,504, so that the square of 300 is ∞, and bfloat16 has eight binary
    digits, so that 256 + 1 is 256: squares and sums need more (Micikevicius et al. 2018,
    section 3.3).
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))
