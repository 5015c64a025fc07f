"""Costs of the mixers: by hand, against operations counted on the layers themselves, and against their chains and reach."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from llmbook.costs import LayerCost, crossover, layer_cost, longest_chain
from llmbook.models.sequence_model import MIXERS, SequenceModel, SequenceModelConfig
from llmbook.nn import receptive_field

SIZES = [(1, 4, 2), (2, 4, 3), (7, 8, 3), (16, 8, 5), (33, 12, 4)]


def layers(mixer: str, d_model: int, kernel_size: int, num_layers: int = 1):
    config = SequenceModelConfig(
        vocab_size=3, mixer=mixer, d_model=d_model, num_layers=num_layers, num_heads=2, kernel_size=kernel_size
    )
    return SequenceModel(config).layers


def run(layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    real = torch.ones(x.shape[:2], dtype=torch.bool)
    return layer(x, real, real, None)


def test_by_hand():
    # 10 tokens of width 2: a projection is 10 · 2 · 2 = 40, the scores 10 · 10 · 2 = 200, the weighted sum as many
    assert layer_cost("attention", seq_len=10, d_model=2) == LayerCost(4 * 40 + 2 * 200, 1, 1)
    assert layer_cost("recurrence", seq_len=10, d_model=2) == LayerCost(8 * 40, 10, 10)
    # 3 layers of 1, 2, 4 times 2 tokens back see 15, 2 layers only 7
    assert layer_cost("convolution", seq_len=10, d_model=2) == LayerCost(2 * 3 * 40, 1, 3)
    assert layer_cost("convolution", seq_len=10, d_model=2, kernel_size=2) == LayerCost(2 * 2 * 40, 1, 4)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("seq_len", "d_model", "kernel_size"), SIZES)
@pytest.mark.parametrize("mixer", MIXERS)
def test_the_layers_do_exactly_these_multiplications(mixer, seq_len, d_model, kernel_size, batch):
    (layer,) = layers(mixer, d_model, kernel_size)
    x = torch.randn(batch, seq_len, d_model, generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        run(layer.mixer, x)
    cost = layer_cost(mixer, seq_len=seq_len, d_model=d_model, kernel_size=kernel_size)
    assert counter.get_total_flops() == 2 * batch * cost.multiplications  # a multiplication and an addition each


@pytest.mark.parametrize(("seq_len", "d_model", "kernel_size"), SIZES)
def test_with_its_feed_forward_network_attention_s_layer_costs_more_at_every_length(seq_len, d_model, kernel_size):
    """All layers have 12 d² weights, so that at equal parameters all cost 12 n d², and attention 2 n² d on top."""
    for mixer in MIXERS:
        (layer,) = layers(mixer, d_model, kernel_size)
        with FlopCounterMode(display=False) as counter:
            run(layer, torch.zeros(1, seq_len, d_model))
        extra = 2 * seq_len**2 * d_model if mixer == "attention" else 0
        assert counter.get_total_flops() == 2 * (12 * seq_len * d_model**2 + extra)


@pytest.mark.parametrize(("mixer", "products"), [("attention", 4), ("recurrence", 1), ("convolution", 1)])
@pytest.mark.parametrize("seq_len", [1, 2, 9, 40])
def test_a_sequential_step_is_a_fixed_chain_of_products(mixer, products, seq_len):
    (layer,) = layers(mixer, 4, 3)
    chain = longest_chain(run(layer.mixer, torch.zeros(1, seq_len, 4)))
    assert chain == products * layer_cost(mixer, seq_len=seq_len, d_model=4).sequential_steps


@pytest.mark.parametrize("kernel_size", [2, 3, 4, 5])
def test_the_last_token_hears_of_the_first_after_the_path_s_layers_and_no_sooner(kernel_size):
    for seq_len in (2, 3, 5, 6, 13, 14, 29, 30):
        needed = layer_cost("convolution", seq_len=seq_len, d_model=4, kernel_size=kernel_size).path_length
        stack = layers("convolution", 4, kernel_size, num_layers=needed)
        x = torch.randn(1, seq_len, 4, generator=torch.Generator().manual_seed(1), requires_grad=True)
        y, heard = x, []
        for layer in stack:
            y = run(layer.mixer, y)
            (gradient,) = torch.autograd.grad(y[0, -1].sum(), x, retain_graph=True)
            heard.append(bool((gradient[0, 0] != 0).any()))
        assert heard == [False] * (needed - 1) + [True]


@given(n=st.integers(1, 1 << 18), k=st.integers(2, 9))
def test_the_convolution_s_path_is_the_least_that_reaches(n: int, k: int):
    path = layer_cost("convolution", seq_len=n, d_model=1, kernel_size=k).path_length
    assert receptive_field(k, path) >= n
    assert path == 1 or receptive_field(k, path - 1) < n


def test_a_single_token_is_one_step_and_one_layer_away_from_itself():
    for mixer in MIXERS:
        assert layer_cost(mixer, seq_len=1, d_model=4)[1:] == (1, 1)


@given(d=st.integers(1, 5000), k=st.integers(2, 9), against=st.sampled_from(MIXERS[1:]))
def test_attention_is_dearer_from_just_beyond_the_crossover(d: int, k: int, against: str):
    n = crossover(d, against=against, kernel_size=k)

    def more(seq_len: int) -> int:
        ours, theirs = (
            layer_cost(mixer, seq_len=seq_len, d_model=d, kernel_size=k) for mixer in ("attention", against)
        )
        return ours.multiplications - theirs.multiplications

    assert more(n + 1) > 0
    if n:
        assert more(n) == 0
        assert n == 1 or more(n - 1) < 0


def test_crossovers_by_hand():
    assert crossover(512, against="recurrence") == 1024
    assert [crossover(512, against="convolution", kernel_size=k) for k in (2, 3, 4, 5)] == [0, 512, 1024, 1536]


@pytest.mark.messages
def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"the mixer is 'lstm'; expected one of \('attention', 'recurrence', 'convol"):
        layer_cost("lstm", seq_len=3, d_model=4)
    with pytest.raises(ValueError, match="seq_len is 0; expected at least 1"):
        layer_cost("attention", seq_len=0, d_model=4)
    with pytest.raises(ValueError, match="d_model is 0, kernel_size 3; expected d_model >= 1 and kernel_size >= 2"):
        layer_cost("attention", seq_len=3, d_model=0)
    with pytest.raises(ValueError, match="d_model is 4, kernel_size 1"):
        layer_cost("convolution", seq_len=3, d_model=4, kernel_size=1)
    with pytest.raises(ValueError, match=r"the mixer is 'attention'; expected one of \('recurrence', 'convolution'\)"):
        crossover(4, against="attention")
    with pytest.raises(ValueError, match="d_model is -1"):
        crossover(-1, against="recurrence")
    with pytest.raises(ValueError, match="kernel_size 1"):
        crossover(4, against="convolution", kernel_size=1)
