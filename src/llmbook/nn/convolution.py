"""Causal dilated convolution over a sequence.

Book: §1.1.1
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from llmbook.checks import require_positive, require_sequence


def receptive_field(kernel_size: int, num_layers: int) -> int:
    """How many tokens, itself counted, one output sees where dilations are 1, 2, 4, ….

    1 + (k − 1)(2^L − 1) (van den Oord et al. 2016, section 2.1, with k = 2).
    """
    return 1 + (kernel_size - 1) * (2**num_layers - 1)


class CausalConv1d(nn.Module):
    """y_t = Σ_j W_j x_{t − (k − 1 − j) r} + b, j = 0 … k − 1; what lies before the start is 0.

    k is the kernel's size, r the dilation: of the last (k − 1) r + 1 tokens every r-th is seen,
    k in all, the token itself among them. As a matrix product: these k side by side, times
    W = (W_0 … W_{k−1}).

    Args:
        d_in: width of the input.
        d_out: width of the output.
        kernel_size: k.
        dilation: r.

    Raises:
        ValueError: a size below 1, an input of another width, a past of another length.
    """

    def __init__(self, d_in: int, d_out: int, kernel_size: int, *, dilation: int = 1):
        super().__init__()
        require_positive(d_in=d_in, d_out=d_out, kernel_size=kernel_size, dilation=dilation)
        self.d_in, self.kernel_size, self.dilation = d_in, kernel_size, dilation
        self.linear = nn.Linear(kernel_size * d_in, d_out)

    @property
    def reach(self) -> int:
        """How far back the kernel looks: the first token that it sees is (k − 1) r before t."""
        return (self.kernel_size - 1) * self.dilation

    def forward(
        self,
        x: Float[Tensor, "batch seq d_in"],
        *,
        past: Float[Tensor, "batch reach d_in"] | None = None,
    ) -> Float[Tensor, "batch seq d_out"]:
        """`past`: the `reach` inputs before x, where they are not 0."""
        require_sequence(x, "x", d_in=self.d_in)
        batch, length, _ = x.shape
        if past is None:
            past = x.new_zeros(batch, self.reach, self.d_in)
        if past.shape != (batch, self.reach, self.d_in):
            expected = [batch, self.reach, self.d_in]
            raise ValueError(f"the past has shape {list(past.shape)}; expected {expected}")
        seen = torch.cat([past, x], dim=1)
        starts = range(0, self.reach + 1, self.dilation)
        return self.linear(torch.cat([seen[:, j : j + length] for j in starts], dim=-1))
