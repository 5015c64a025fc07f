"""The kernel's LSTM against the loop: outputs, states and gradients, with masks, states, batches of different lengths."""

import pytest
import torch

from llmbook.models import Seq2Seq, Seq2SeqConfig
from llmbook.nn import LSTM, LSTMState
from llmbook.nn.fused_lstm import fuse, fused_lstm


def mask_of(lengths, seq):
    return torch.arange(seq) < torch.tensor(lengths)[:, None]


@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize(
    "mask",
    [None, mask_of([7, 2, 5], 7), mask_of([1, 1, 3], 7), mask_of([7, 0, 5], 7), mask_of([3, 7, 7], 7).flip(1)],
    ids=["none", "right", "short", "an empty row", "left"],
)
def test_outputs_states_and_gradients_are_those_of_the_loop(mask, with_state):
    torch.manual_seed(0)
    lstm = LSTM(4, 6)
    results = []
    x, state = torch.randn(3, 7, 4), (torch.randn(3, 6), torch.randn(3, 6))
    for compute in (lstm, lambda x, **rest: fused_lstm(lstm, x, **rest)):
        lstm.zero_grad()
        leaf, start = x.clone().requires_grad_(), [part.clone().requires_grad_() for part in state]
        output, last = compute(leaf, state=LSTMState(*start) if with_state else None, mask=mask)
        (output.sin().sum() + last.hidden.cos().sum() + last.cell.sin().sum()).backward()
        gradients = [leaf.grad, *(part.grad for part in start if with_state), *(p.grad for p in lstm.parameters())]
        results.append([output, *last, *(gradient.clone() for gradient in gradients)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)


def test_nothing_to_read_leaves_the_state():
    lstm, state = LSTM(4, 6), LSTMState(torch.randn(2, 6), torch.randn(2, 6))
    output, last = fused_lstm(lstm, torch.zeros(2, 0, 4), state=state)
    assert output.shape == (2, 0, 6)
    assert torch.equal(last.cell, state.cell)


def test_a_fused_model_has_the_same_weights_and_scores():
    torch.manual_seed(0)
    model = Seq2Seq(Seq2SeqConfig(11, d_model=8, dropout=0.0))
    source, target = torch.randint(3, 11, (3, 6)), torch.randint(3, 11, (3, 5))
    mask = mask_of([6, 2, 4], 6)
    names, scores = [name for name, _ in model.named_parameters()], model(source, target, source_mask=mask)
    fuse(model)
    assert [name for name, _ in model.named_parameters()] == names
    torch.testing.assert_close(model(source, target, source_mask=mask), scores, atol=1e-5, rtol=1e-5)


@pytest.mark.messages
def test_a_wrong_width_is_told_as_by_the_loop():
    with pytest.raises(ValueError, match="d_in"):
        fused_lstm(LSTM(4, 6), torch.zeros(2, 3, 5))


def test_in_float64_the_loop_runs_to_the_last_bit() -> None:
    lstm, x = LSTM(4, 6).double(), torch.randn(2, 7, 4, dtype=torch.float64)
    assert torch.equal(fused_lstm(lstm, x)[0], lstm(x)[0])
