"""The sinusoidal positional encoding.

Book: §1.2.4
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from llmbook.checks import require_indices


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


class SinusoidalPositions(nn.Module):
    """PE(p), row p of `sinusoidal_encoding`.

    The table is neither parameter nor buffer: no state dict holds it, and `to_empty` would
    leave a buffer without its numbers. On another device it is computed again.

    Raises:
        ValueError: what `sinusoidal_encoding` refuses, or a position outside
            0 … max_seq_len − 1.
    """

    def __init__(self, max_seq_len: int, d_model: int, *, base: float = 10_000.0):
        super().__init__()
        self.max_seq_len, self.d_model, self.base = max_seq_len, d_model, base
        self.rows = sinusoidal_encoding(max_seq_len, d_model, base=base)

    def forward(self, positions: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d_model"]:
        require_indices(positions, "positions", "position", max_seq_len=self.max_seq_len)
        if self.rows.device != positions.device:
            table = sinusoidal_encoding(self.max_seq_len, self.d_model, base=self.base)
            self.rows = table.to(positions.device)
        return self.rows[positions]
