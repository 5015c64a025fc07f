"""What is counted is what autograd keeps: each storage once, whole, and nothing that is in memory anyway."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from llmbook.costs import SavedTensors, saved_tensors


def leaf(*shape):
    return torch.rand(*shape, requires_grad=True)


def test_a_product_keeps_its_factors_and_a_sum_nothing():
    a, b = leaf(3, 4), leaf(3, 4)
    assert saved_tensors(lambda: a + b).storages == ()
    assert saved_tensors(lambda: a * b) == SavedTensors((((3, 4), 48), ((3, 4), 48)))
    assert saved_tensors(lambda: a * b).total == 96


def test_an_exponential_keeps_its_result_and_a_sine_its_argument():
    x = leaf(5)
    assert saved_tensors(lambda: torch.exp(x), apart_from=[x]).total == 20
    assert saved_tensors(lambda: torch.sin(x), apart_from=[x]).total == 0


def test_a_constant_factor_costs_the_other_factor_only():
    a, b = leaf(3), torch.rand(3)
    assert saved_tensors(lambda: a * b, apart_from=[b]).total == 0


def test_several_saves_and_several_views_of_a_storage_count_once():
    a = leaf(4, 4)
    assert saved_tensors(lambda: a * a).total == 64
    assert saved_tensors(lambda: a @ a.mT).total == 64
    assert saved_tensors(lambda: a[0] * a[1]).total == 64  # the whole storage stays, whatever part is looked at


def test_equal_tensors_in_two_storages_count_twice():
    a = leaf(4)
    assert saved_tensors(lambda: torch.sum(a.exp() + a.exp())).total == 32


def test_results_that_were_thrown_away_hide_no_other_at_their_address():
    x = leaf(1000)

    def many():
        for _ in range(5):
            x.exp()  # kept by nothing
        return x.exp()

    assert saved_tensors(many).total == 6 * 4000


def test_parameters_are_left_out_in_every_view():
    layer, x = nn.Linear(3, 2), leaf(5, 3)
    assert saved_tensors(lambda: layer(x)).total == (15 + 6) * 4
    assert saved_tensors(lambda: layer(x), apart_from=layer.parameters()).storages == (((5, 3), 60),)


def test_bytes_follow_the_type():
    ids, x = torch.tensor([0, 2]), leaf(3, 4).to(torch.bfloat16)
    assert saved_tensors(lambda: x * x).total == 24
    assert saved_tensors(lambda: F.embedding(ids, x)).storages == (((2,), 16),)


def test_the_backward_pass_is_as_it_was_and_nothing_is_held_afterwards():
    x, results = leaf(6), []

    def compute():
        results.append(x.exp())
        return results[0].sum()

    saved_tensors(compute)
    results[0].sum().backward()
    assert torch.allclose(x.grad, x.exp())
    result = weakref.ref(results.pop())
    gc.collect()
    assert result() is None


def test_hooks_are_gone_afterwards_even_if_it_fails():
    x = leaf(2)
    with pytest.raises(ZeroDivisionError):
        saved_tensors(lambda: x * (1 / 0))
    assert saved_tensors(lambda: x * x).total == 8


@pytest.mark.messages
def test_what_has_no_derivative_is_an_error():
    with pytest.raises(ValueError, match=r"a tensor of shape \(3,\) without gradient"):
        saved_tensors(lambda: torch.ones(3))
    with pytest.raises(ValueError, match="gave None"):
        saved_tensors(lambda: None)
