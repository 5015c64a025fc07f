"""Cross-entropy by hand, on known cases, against torch, and with the mistakes that it must refuse."""

import math

import pytest
import torch
from torch.nn import functional as F

from llmbook.data import Batch
from llmbook.models import Transformer, TransformerConfig
from llmbook.training import MeanLoss, cross_entropy, teacher_forced, token_loss


def random_case(dtype=torch.float32):
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 5, 7, generator=rng, dtype=dtype)
    targets = torch.randint(0, 7, (3, 5), generator=rng)
    targets[0, 2:] = -100
    return logits, targets


def test_a_worked_example():
    logits = torch.tensor([[0.0, math.log(3.0)], [5.0, 5.0]])
    targets = torch.tensor([1, 0])
    assert cross_entropy(logits, targets).item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    smoothed = 0.9 * math.log(4 / 3) + 0.1 * (math.log(4 / 3) + math.log(4)) / 2
    assert cross_entropy(logits[:1], targets[:1], label_smoothing=0.1).item() == pytest.approx(smoothed)


@pytest.mark.parametrize("label_smoothing", [0, 0.1, 0.9])
def test_equals_torch_in_value_and_gradient(label_smoothing):
    logits, targets = random_case()
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss = cross_entropy(ours, targets, label_smoothing=label_smoothing)
    expected = F.cross_entropy(theirs.flatten(0, 1), targets.flatten(), label_smoothing=label_smoothing)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=1e-6)


def test_a_uniform_guess_costs_ln_v_whatever_the_smoothing():
    targets = torch.tensor([0, 4, 9])
    for label_smoothing in (0.0, 0.3):
        loss = cross_entropy(torch.zeros(3, 10), targets, label_smoothing=label_smoothing)
        assert loss.item() == pytest.approx(math.log(10))


def test_ignored_places_change_neither_value_nor_gradient():
    logits, targets = random_case()
    changed = logits.clone()
    changed[0, 2:] = 1e4
    assert torch.equal(cross_entropy(logits, targets), cross_entropy(changed, targets))
    changed.requires_grad_()
    cross_entropy(changed, targets).backward()
    assert (changed.grad[0, 2:] == 0).all()


def test_the_mean_is_over_tokens_and_not_over_rows():
    logits, targets = random_case()
    rows = [cross_entropy(logits[i], targets[i]).item() for i in range(3)]
    tokens = [2, 5, 5]
    expected = sum(r * n for r, n in zip(rows, tokens, strict=True)) / 12
    assert cross_entropy(logits, targets).item() == pytest.approx(expected, abs=1e-6)
    assert abs(sum(rows) / 3 - expected) > 1e-3


def test_the_loss_of_tokens_is_the_cross_entropy_with_the_number_of_real_tokens():
    logits, targets = random_case()
    expected = MeanLoss(cross_entropy(logits, targets, label_smoothing=0.1), 12)
    assert token_loss(logits, targets, label_smoothing=0.1) == expected


def test_large_scores_do_not_overflow_and_half_precision_is_computed_in_single():
    assert cross_entropy(torch.tensor([[1e4, -1e4]]), torch.tensor([0])).item() == 0
    logits, targets = random_case(torch.bfloat16)
    loss = cross_entropy(logits, targets)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, cross_entropy(logits.float(), targets))


def test_the_gradient_by_finite_differences():
    logits, targets = random_case(torch.float64)
    assert torch.autograd.gradcheck(lambda x: cross_entropy(x, targets, label_smoothing=0.1), logits.requires_grad_())


@pytest.mark.messages
def test_mistakes_are_named():
    logits, targets = random_case()
    with pytest.raises(ValueError, match=r"\(3, 5, 7\) need targets \(3, 5\); got \(3, 4\)"):
        cross_entropy(logits, targets[:, :4])
    with pytest.raises(ValueError, match="15 targets are ignored"):
        cross_entropy(logits, torch.full_like(targets, -100))
    for wrong in (7, -1):
        targets[1, 1] = wrong
        with pytest.raises(ValueError, match=f"0 … 6 or be −100; got {wrong}"):
            cross_entropy(logits, targets)
    with pytest.raises(ValueError, match=r"got 1\.0"):
        cross_entropy(logits, targets, label_smoothing=1.0)


def test_teacher_forcing_is_the_cross_entropy_of_each_next_token_and_heeds_no_padding():
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(9, d_model=8, num_heads=2, num_layers=1, dropout=0.0)).eval()
    target_ids, targets = torch.tensor([[1, 4, 5], [1, 6, 0]]), torch.tensor([[4, 5, 2], [6, 2, -100]])
    source_ids, real = torch.tensor([[3, 7], [8, 0]]), torch.tensor([[True, True], [True, False]])
    both = teacher_forced(model, Batch(source_ids, real, target_ids, targets != -100, targets), label_smoothing=0.1)
    assert both.count == 5
    losses = []
    for row, n in ((0, 3), (1, 2)):
        source = source_ids[row : row + 1, : real[row].sum()]
        for t in range(n):  # step by step, each time with the right prefix
            logits = model(source, target_ids[row : row + 1, : t + 1])[:, -1]
            losses.append(cross_entropy(logits, targets[row, t : t + 1], label_smoothing=0.1))
    torch.testing.assert_close(both.mean, torch.stack(losses).mean(), rtol=1e-5, atol=1e-6)
