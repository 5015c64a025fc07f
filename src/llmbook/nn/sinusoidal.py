"""The sinusoidal positional encoding.

Book: §1.2.4
"""

import torch
from jaxtyping import Float
from torch import Tensor


def sinusoidal_encoding(
    max_seq_len: int, d_model: int, *, base: float = 10_000.0
) -> Float[Tensor, "max_seq_len d_model"]:
    """PE(pos, 2i) = sin(pos / base^(2i / d_model)), PE(pos, 2i + 1) = cos of the same.

    Vaswani et al. 2017, section 3.5.
    Angles are computed in float64: at position 10,000 float32 would be off by 1e-3.

    Raises:
        ValueError: an odd or non-positive d_model, a negative length, base <= 0.
    """
    if d_model < 2 or d_model % 2 or max_seq_len < 0 or base <= 0:
        raise ValueError(
            f"d_model is {d_model}, max_seq_len {max_seq_len}, base {base}; "
            "expected an even d_model, max_seq_len >= 0, base > 0"
        )
    position = torch.arange(max_seq_len, dtype=torch.float64)[:, None]
    frequency = base ** (-torch.arange(0, d_model, 2, dtype=torch.float64) / d_model)
    angle = position * frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(start_dim=1).float()
