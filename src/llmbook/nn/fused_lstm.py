"""The LSTM by PyTorch's kernel: the numbers of the loop of `LSTM`, several times as fast.

Book: §1.1.1
"""

from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from llmbook.nn.recurrent import LSTM, LSTMState, require_steps


def fused_lstm(
    lstm: LSTM,
    x: Float[Tensor, "batch seq d_in"],
    *,
    state: LSTMState | None = None,
    mask: Bool[Tensor, "batch seq"] | None = None,
) -> tuple[Float[Tensor, "batch seq d_model"], LSTMState]:
    """`lstm(x, state=state, mask=mask)` by `torch.lstm`, for long trainings.

    Padding is one more feature of the input, whose weights shut the write gate and open the
    forget gate: c stays as it was; h is taken from the output of the last token. A mask may be
    False on the right of a row only, and each row needs a token; else the loop of `LSTM` runs.
    It also runs in float64, where the kernel is only good to about 1e-9 on some processors.

    Raises:
        ValueError: those of `LSTM`.
    """
    d_model = lstm.recurrent.in_features
    require_steps(x, state, mask, lstm.input.in_features, d_model)
    exact = x.dtype == torch.float64
    if exact or not x.numel() or (mask is not None and not padded_right(mask)):
        return LSTM.forward(lstm, x, state=state, mask=mask)
    weight, bias = lstm.input.weight, lstm.input.bias
    zeros = x.new_zeros(x.shape[0], d_model)
    if mask is not None:
        gates = weight.new_tensor([-1e4, 1e4, 0.0, 0.0]).repeat_interleave(d_model)
        weight = torch.cat([weight, gates[:, None]], dim=1)
        x = torch.cat([x, (~mask[:, :, None]).to(x.dtype)], dim=-1)
    weights = [weight, lstm.recurrent.weight, bias, torch.zeros_like(bias)]
    start = [part[None].contiguous() for part in state or (zeros, zeros)]
    output, (hidden,), (cell,) = torch.lstm(
        x, start, weights, True, 1, 0.0, lstm.training, False, True
    )
    if mask is not None:
        last = mask.sum(dim=1) - 1
        hidden = output[torch.arange(len(last), device=x.device), last]
        output = output * mask[:, :, None]
    return output, LSTMState(hidden, cell)


def padded_right(mask: Bool[Tensor, "batch seq"]) -> bool:
    """Whether each row begins with True and, once False, stays so."""
    return bool(mask[:, 0].all()) and not bool((mask[:, 1:] & ~mask[:, :-1]).any())


def fuse(model: nn.Module) -> None:
    """Each `LSTM` of the model computes by `fused_lstm`; its weights stay where they are."""
    for module in model.modules():
        if isinstance(module, LSTM):
            module.forward = partial(fused_lstm, module)
