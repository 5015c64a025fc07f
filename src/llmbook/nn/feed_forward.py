"""The position-wise feed-forward network, and its gated relative.

Book: §1.2.1
"""

from collections.abc import Callable
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from llmbook.checks import require_last, require_one_of, require_positive, require_share

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
}


class FeedForward(nn.Module):
    """act(x W₁ + b₁) W₂ + b₂ at each position alone.

    Vaswani et al. 2017, section 3.3, equation 2, with relu.

    Args:
        d_model: width of input and output.
        d_ff: width between the two layers.
        activation: "relu", "gelu" (x Φ(x)), or "gelu_tanh" (GPT-2's approximation of it).
        dropout: share of the inner values dropped in training.
        use_bias: whether b₁ and b₂ exist.

    Raises:
        ValueError: an unknown activation, a width below 1, an input of another width.
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        *,
        activation: str = "relu",
        dropout: float = 0.0,
        use_bias: bool = True,
    ):
        super().__init__()
        require_one_of("activation", activation, ACTIVATIONS)
        require_positive(d_model=d_model, d_ff=d_ff)
        require_share(dropout=dropout)
        self.inner = nn.Linear(d_model, d_ff, bias=use_bias)
        self.outer = nn.Linear(d_ff, d_model, bias=use_bias)
        self.activation = ACTIVATIONS[activation]
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        require_last(x, d_model=self.inner.in_features)
        return self.outer(self.dropout(self.activation(self.inner(x))))


class SwiGLU(nn.Module):
    """(silu(x W_gate) ⊙ x W_up) W_down at each position alone, silu(z) = z σ(z); no bias.

    Shazeer 2020, equation 6, whose W, V, W₂ are our W_gate, W_up, W_down.

    Raises:
        ValueError: a width below 1, an input of another width.
    """

    def __init__(self, d_model: int, d_ff: int):
        super().__init__()
        require_positive(d_model=d_model, d_ff=d_ff)
        self.gate = nn.Linear(d_model, d_ff, bias=False)
        self.up = nn.Linear(d_model, d_ff, bias=False)
        self.down = nn.Linear(d_ff, d_model, bias=False)

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        require_last(x, d_model=self.gate.in_features)
        return self.down(F.silu(self.gate(x)) * self.up(x))
