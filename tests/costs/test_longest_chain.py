"""The longest chain of dependent operations: graphs drawn by hand, then the mixers, whose chains grow as the book says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from llmbook.costs import longest_chain
from llmbook.models import SequenceModel, SequenceModelConfig
from llmbook.nn import LSTM, CausalConv1d, MultiHeadAttention

WIDTH = 4


def square() -> nn.Parameter:
    return nn.Parameter(torch.eye(2))


def test_a_chain_counts_its_products_or_all_its_operations():
    x, w = torch.ones(2, 2), square()
    y = ((x @ w).tanh() @ w + 1) @ w
    assert longest_chain(y) == 3
    assert longest_chain(y, products_only=False) == 5  # @ tanh @ + @


def test_no_product_is_no_step_but_an_operation():
    y = square().exp().sum()
    assert longest_chain(y) == 0
    assert longest_chain(y, products_only=False) == 2


def test_of_parallel_branches_the_longer_one_counts():
    x, w = torch.ones(2, 2), square()
    long, short = x @ w @ w @ w, x @ w
    assert longest_chain(long + short) == longest_chain(short + long) == 3
    assert longest_chain(torch.stack([x @ w for _ in range(50)]).sum()) == 1


def test_what_both_sides_of_a_diamond_need_counts_once():
    x, w = torch.ones(2, 2), square()
    top = x @ w
    assert longest_chain((top @ w).tanh() @ (top @ w)) == 3
    for _ in range(60):  # 2⁶⁰ paths; each operation is looked at once
        top = top @ w + top @ w
    assert longest_chain(top) == 61


def test_a_shortcut_seen_first_does_not_hide_the_detour():
    x, w = torch.ones(2, 2), square()
    a = x @ w
    detour = a.exp().sin().cos()
    assert longest_chain(torch.stack([a, detour, a]), products_only=False) == 5
    assert longest_chain(a + (a + detour @ w) @ w) == 3


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_it_is_the_longest_path_of_any_graph(data: st.DataObject):
    """Each operation is a product of two earlier results, whose depths are counted beside it."""
    values, depths = [square() for _ in range(2)], [0, 0]
    for _ in range(data.draw(st.integers(1, 25))):
        left, right = (data.draw(st.integers(0, len(values) - 1)) for _ in range(2))
        values.append(values[left] @ values[right])
        depths.append(1 + max(depths[left], depths[right]))
    assert longest_chain(values[-1]) == longest_chain(values[-1], products_only=False) == depths[-1]


@pytest.mark.parametrize(
    "product",
    [
        lambda w: nn.functional.linear(torch.ones(3, 2), w),
        lambda w: nn.functional.linear(torch.ones(3, 5, 2), w, torch.ones(2)),
        lambda w: torch.ones(3, 5, 2) @ w,
        lambda w: torch.ones(4, 3, 5, 2) @ w.expand(4, 3, 2, 2),
        lambda w: torch.baddbmm(torch.ones(1, 2, 2), w[None], w[None]),
        lambda w: w @ torch.ones(2),
        lambda w: w[0] @ w[1],
        lambda w: torch.einsum("ij,bj->bi", w, torch.ones(3, 2)),
        lambda w: nn.functional.conv1d(torch.ones(1, 2, 5), w[:, :, None]),
    ],
    ids=["mm", "addmm", "mm 3d", "bmm", "baddbmm", "mv", "dot", "einsum", "convolution"],
)
def test_every_kind_of_product_is_one(product):
    assert longest_chain(product(square())) == 1


def test_a_graph_of_thousands_of_operations_needs_no_recursion():
    x = w = square()
    for _ in range(20_000):
        x = x + w
    assert longest_chain(x, products_only=False) == 20_000
    assert longest_chain(x) == 0


def test_what_is_detached_is_not_seen():
    x, w = torch.ones(2, 2), square()
    assert longest_chain((x @ w @ w).detach() @ w) == 1


def mixed(kind: str, length: int) -> torch.Tensor:
    x = torch.randn(1, length, WIDTH, generator=torch.Generator().manual_seed(0))
    if kind == "recurrence":
        return LSTM(WIDTH, WIDTH)(x)[0]
    return CausalConv1d(WIDTH, WIDTH, 3)(x) if kind == "convolution" else MultiHeadAttention(WIDTH, 2)(x)


@settings(max_examples=15, deadline=None)
@given(length=st.integers(1, 60))
def test_the_lstm_s_chain_is_its_length_and_the_others_stay_as_they_are(length: int):
    assert longest_chain(mixed("recurrence", length)) == length
    assert longest_chain(mixed("attention", length)) == 4  # query or key, scores, weighted sum, output
    assert longest_chain(mixed("convolution", length)) == 1


@pytest.mark.parametrize(
    ("mixer", "layers", "chain"),
    [
        ("attention", 1, lambda n: 4 + 2 + 1),  # mixer, feed-forward network, scores of the next token
        ("attention", 3, lambda n: 3 * (4 + 2) + 1),
        ("convolution", 3, lambda n: 3 * (1 + 2) + 1),
        ("recurrence", 1, lambda n: n + 2 + 1),
        # above the first layer the input's own product comes before the n steps' last n − 1
        ("recurrence", 3, lambda n: 3 * (n + 2) + 1),
    ],
)
def test_in_a_model_only_the_recurrent_one_s_chain_grows(mixer, layers, chain):
    config = SequenceModelConfig(vocab_size=5, mixer=mixer, d_model=8, num_layers=layers, num_heads=2)
    model = SequenceModel(config)
    for length in (2, 7, 20):
        token_ids = torch.arange(length)[None] % 5
        assert longest_chain(model(token_ids)) == chain(length)


@pytest.mark.messages
def test_a_tensor_without_a_graph_is_refused():
    for tensor in (torch.ones(2, 3), nn.Parameter(torch.ones(2, 3))):
        with pytest.raises(ValueError, match=r"shape \[2, 3\] has no graph; expected the output of operations"):
            longest_chain(tensor)
    with torch.no_grad(), pytest.raises(ValueError, match="has no graph"):
        longest_chain(square() @ square())
