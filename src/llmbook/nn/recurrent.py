"""The long short-term memory, a recurrent layer.

Book: §1.1.1
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from llmbook.checks import require_mask, require_positive, require_sequence


class LSTMState(NamedTuple):
    """What a layer remembers of all it has read."""

    hidden: Float[Tensor, "batch d_model"]
    cell: Float[Tensor, "batch d_model"]


def lstm_step(
    gates: Float[Tensor, "batch four_d_model"], cell: Float[Tensor, "batch d_model"]
) -> LSTMState:
    """c ← σ(f) c + σ(i) tanh(g) and h = σ(o) tanh(c), where gates = (i, f, g, o).

    Hochreiter and Schmidhuber 1997, with the forget gate f of Gers et al. 2000.
    """
    write, keep, new, show = gates.chunk(4, dim=-1)
    cell = keep.sigmoid() * cell + write.sigmoid() * new.tanh()
    return LSTMState(show.sigmoid() * cell.tanh(), cell)


class LSTM(nn.Module):
    """One layer: the gates at step t are W x_t + U h_{t−1} + b.

    W x_t + b is computed for all steps at once; U h_{t−1} has to wait for step t − 1. b is 1
    for the forget gate at first (Jozefowicz et al. 2015), so that a new layer remembers, and 0
    for the others.

    Leaves out: peepholes, projections, a fused kernel; several layers are several LSTMs.

    Args:
        d_in: width of the input.
        d_model: width of hidden state, cell and output.

    Raises:
        ValueError: a width below 1, an input of another width, a mask or state of other rows.
    """

    def __init__(self, d_in: int, d_model: int):
        super().__init__()
        require_positive(d_in=d_in, d_model=d_model)
        self.input = nn.Linear(d_in, 4 * d_model)
        self.recurrent = nn.Linear(d_model, 4 * d_model, bias=False)
        self.reset()

    def reset(self) -> None:
        """Draws the weights anew."""
        nn.init.xavier_uniform_(self.input.weight)
        for square in self.recurrent.weight.chunk(4):
            nn.init.orthogonal_(square)
        nn.init.zeros_(self.input.bias)
        nn.init.ones_(self.input.bias.chunk(4)[1])

    def forward(
        self,
        x: Float[Tensor, "batch seq d_in"],
        *,
        state: LSTMState | None = None,
        mask: Bool[Tensor, "batch seq"] | None = None,
    ) -> tuple[Float[Tensor, "batch seq d_model"], LSTMState]:
        """The output of each step, and the state after the last.

        Where the mask is False, a step leaves the state as it was and puts out 0.
        """
        require_steps(x, state, mask, self.input.in_features, self.recurrent.in_features)
        batch, length, _ = x.shape
        if state is None:
            zeros = x.new_zeros(batch, self.recurrent.in_features)
            state = LSTMState(zeros, zeros)
        outputs = []
        for t, gates in enumerate(self.input(x).unbind(dim=1)):
            new = lstm_step(gates + self.recurrent(state.hidden), state.cell)
            if mask is not None:
                real = mask[:, t, None]
                new = LSTMState(
                    *(torch.where(real, a, b) for a, b in zip(new, state, strict=True))
                )
            state = new
            outputs.append(state.hidden)
        output = (
            torch.stack(outputs, dim=1)
            if length
            else x.new_zeros(batch, 0, state.hidden.shape[1])
        )
        return (output if mask is None else output * mask[:, :, None]), state


def reverse(
    x: Float[Tensor, "batch seq width"], mask: Bool[Tensor, "batch seq"]
) -> Float[Tensor, "batch seq width"]:
    """Each row's real tokens in reverse order, the padding on the right left where it is."""
    length, position = (
        mask.sum(dim=1, keepdim=True),
        torch.arange(mask.shape[1], device=x.device),
    )
    source = torch.where(position < length, length - 1 - position, position)
    return x.gather(1, source[:, :, None].expand_as(x))


def require_steps(
    x: Tensor, state: LSTMState | None, mask: Tensor | None, d_in: int, d_model: int
) -> None:
    """Raises ValueError unless x is [batch, seq, d_in], with a mask and a state that fit it."""
    require_sequence(x, "x", d_in=d_in)
    if mask is not None:
        require_mask(mask, x.shape[:2])
    if state is not None and {tuple(part.shape) for part in state} != {(x.shape[0], d_model)}:
        shapes = [list(part.shape) for part in state]
        raise ValueError(
            f"the state has shapes {shapes}; expected [{x.shape[0]}, {d_model}] each"
        )
