"""BatchNorm: by hand, what it leaves unchanged, where it and its running statistics part, masks, gradients, mistakes."""

import pytest
import torch
from inputs import random_inputs

from llmbook.nn import BatchNorm, batch_norm


def test_by_hand():
    # The second feature has mean 4 and variance (9 + 1 + 1 + 9) / 4 = 5.
    x = torch.tensor([[0.0, 1], [0, 3], [0, 5], [0, 7]])
    norm = BatchNorm(2, eps=0.25)
    expected = torch.tensor([-3.0, -1, 1, 3]) / 5.25**0.5
    torch.testing.assert_close(norm(x), torch.stack([torch.zeros(4), expected], dim=1))
    # running ← 0.9 · (0, 1) + 0.1 · (4, 20/3): the variance with n − 1
    torch.testing.assert_close(norm.running_mean, torch.tensor([0.0, 0.4]))
    torch.testing.assert_close(norm.running_variance, torch.tensor([0.9, 0.9 + 2 / 3]))


def test_in_eval_it_is_the_function_of_the_running_statistics_and_keeps_them():
    norm, x = BatchNorm(3), 5 + 2 * random_inputs(4, 6, 3)
    for _ in range(3):
        norm(x)
    norm.eval()
    before = norm.running_mean.clone(), norm.running_variance.clone()
    expected = batch_norm(x, *before, torch.ones(3), torch.zeros(3), 1e-5)
    torch.testing.assert_close(norm(x), expected)
    assert torch.equal(norm.running_mean, before[0])
    assert torch.equal(norm.running_variance, before[1])


def test_each_feature_gets_mean_0_and_variance_1_over_the_batch():
    y = BatchNorm(8)(5 + 3 * random_inputs(16, 10, 8))
    torch.testing.assert_close(y.mean(dim=(0, 1)), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.var(dim=(0, 1), correction=0), torch.ones(8), atol=1e-4, rtol=0)


def test_a_row_depends_on_the_rest_of_the_batch_in_training_only():
    norm, x = BatchNorm(4), random_inputs(3, 5, 4)
    changed = x.clone()
    changed[2] += 3
    assert (norm(changed)[0] - norm(x)[0]).abs().max() > 0.1
    norm.eval()
    assert torch.equal(norm(changed)[0], norm(x)[0])


def test_masked_rows_stay_out_of_the_statistics():
    norm, other, x = BatchNorm(4), BatchNorm(4), random_inputs(2, 5, 4)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    x[~mask] = 99.0
    torch.testing.assert_close(norm(x, mask=mask)[mask], other(x[mask]))
    torch.testing.assert_close(norm.running_variance, other.running_variance)
    assert norm.running_mean.abs().max() < 1


def test_gradients_by_finite_differences():
    x = random_inputs(2, 3, 4, dtype=torch.float64).requires_grad_()
    norm = BatchNorm(4).double()
    mask = torch.tensor([[True, True, True], [True, False, True]])
    assert torch.autograd.gradcheck(norm, (x,))
    assert torch.autograd.gradcheck(lambda x: norm(x, mask=mask), (x,))
    assert torch.autograd.gradcheck(norm.eval(), (x,))


def test_a_constant_feature_is_finite():
    norm, x = BatchNorm(4), torch.full((3, 4), 7.0, requires_grad=True)
    y = norm(x)
    y.sum().backward()
    assert (y == 0).all()
    assert x.grad.isfinite().all()


@pytest.mark.messages
def test_mistakes_are_named():
    with pytest.raises(ValueError, match="momentum is 0; expected 0 < momentum <= 1"):
        BatchNorm(4, momentum=0)
    with pytest.raises(ValueError, match="d_model is 0"):
        BatchNorm(0)
    norm = BatchNorm(4)
    with pytest.raises(ValueError, match=r"x has shape \[2, 5\]; expected a last dimension of d_model = 4"):
        norm(torch.zeros(2, 5))
    for rows in (torch.zeros(1, 1, 4), torch.zeros(0, 4)):
        with pytest.raises(ValueError, match=f"two rows or more for a variance; got {rows[..., 0].numel()}"):
            norm(rows)
    with pytest.raises(ValueError, match=r"mask is torch.bool of shape \[2\]; expected torch.bool of shape \[2, 3\]"):
        norm(torch.zeros(2, 3, 4), mask=torch.ones(2, dtype=torch.bool))
    assert norm.eval()(torch.zeros(1, 4)).shape == (1, 4)
