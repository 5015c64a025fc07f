"""A learned positional encoding: a trained vector for each position.

Book: §1.2.4
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from llmbook.checks import require_indices, require_positive


class LearnedPositions(nn.Module):
    """PE(p) = w_p, row p of a trained matrix with max_seq_len rows.

    Gehring et al. 2017, section 3.1, whose p_1, p_2, … are our w_0, w_1, …
    Entries are drawn from N(0, ½), which gives a row about the length of a sinusoidal one,
    √(d_model / 2). A row that no training sequence reaches stays as it was drawn.

    Raises:
        ValueError: max_seq_len or d_model < 1, or a position outside 0 … max_seq_len − 1.
    """

    def __init__(self, max_seq_len: int, d_model: int):
        super().__init__()
        require_positive(max_seq_len=max_seq_len, d_model=d_model)
        self.max_seq_len = max_seq_len
        self.rows = nn.Parameter(torch.randn(max_seq_len, d_model) * 0.5**0.5)

    def forward(self, positions: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d_model"]:
        require_indices(positions, "positions", "position", max_seq_len=self.max_seq_len)
        return self.rows[positions]
