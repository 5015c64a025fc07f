"""Sparse patterns: by hand, as the rules that define them, how far they reach in several layers, and the mistakes that they must refuse."""

import pytest
import torch

from llmbook.nn import (
    bigbird_layout,
    block_mask,
    causal_mask,
    dilated_mask,
    fixed_mask,
    global_mask,
    pairs,
    reachable,
    sink_mask,
    sliding_window_mask,
    strided_mask,
)


def ints(mask):
    assert mask.dtype == torch.bool
    return mask.int().tolist()


def by_rule(length, rule):
    return torch.tensor([[rule(i, j) for j in range(length)] for i in range(length)]).bool().view(length, length)


def rows(*rows):
    return [[int(place) for place in row] for row in rows]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_dilated_by_hand():
    assert ints(dilated_mask(5, 2, 2)) == rows("10000", "01000", "10100", "01010", "00101")
    assert ints(dilated_mask(5, 2, 3, causal=False)) == rows("10010", "01001", "00100", "10010", "01001")


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("window", "dilation"), [(1, 3), (2, 2), (3, 1), (3, 4), (20, 2)])
def test_dilated_by_the_rule(window, dilation, causal):
    def rule(i, j):
        steps = [(i - j) % dilation == 0 and (i - j) // dilation == m for m in range(-window + 1, window)]
        return any(steps) and (j <= i or not causal)

    assert torch.equal(dilated_mask(11, window, dilation, causal=causal), by_rule(11, rule))


def test_a_dilation_of_one_is_a_window():
    for causal in (True, False):
        assert torch.equal(dilated_mask(9, 4, 1, causal=causal), sliding_window_mask(9, 4, causal=causal))


def test_strided_and_fixed_by_hand():
    assert ints(strided_mask(7, 3)) == rows(
        "1000000", "1100000", "1110000", "1111000", "0111100", "0011110", "1001111"
    )  # fmt: skip
    assert ints(fixed_mask(7, 3)) == rows(
        "1000000", "1100000", "1110000", "0011000", "0011100", "0011110", "0010011"
    )  # fmt: skip


@pytest.mark.parametrize("stride", [1, 2, 4, 12, 20])
def test_strided_and_fixed_by_the_rules_of_the_paper(stride):
    def strided(i, j):
        return j <= i and (j >= max(0, i - stride) or (i - j) % stride == 0)

    def fixed(i, j):
        return j <= i and (j // stride == i // stride or j % stride == stride - 1)

    assert torch.equal(strided_mask(12, stride), by_rule(12, strided))
    assert torch.equal(fixed_mask(12, stride), by_rule(12, fixed))


@pytest.mark.parametrize("pattern", [strided_mask, fixed_mask])
def test_a_sparse_transformer_reaches_all_of_the_past_in_two_layers_with_about_length_to_the_three_halves_pairs(
    pattern,
):
    length, stride = 144, 12
    mask = pattern(length, stride)
    assert torch.equal(reachable(mask, 2), causal_mask(length))
    assert not torch.equal(reachable(mask, 1), causal_mask(length))
    assert pairs(mask) < 2 * length * stride < pairs(causal_mask(length)) / 2


def test_global_by_hand():
    assert ints(global_mask(4, [1], causal=False)) == rows("0100", "1111", "0100", "0100")
    assert ints(global_mask(4, [1], causal=True)) == rows("0000", "1100", "0100", "0100")
    assert ints(global_mask(3, [], causal=False)) == rows("000", "000", "000")
    assert global_mask(5, range(5), causal=False).all()


def test_sinks_by_hand():
    assert ints(sink_mask(6, 2, 2)) == rows("100000", "110000", "111000", "111100", "110110", "110011")
    assert torch.equal(sink_mask(6, 2, 0), sliding_window_mask(6, 2))
    assert torch.equal(sink_mask(6, 2, 9), causal_mask(6))
    together = sliding_window_mask(6, 2) | global_mask(6, range(2), causal=True)
    assert torch.equal(sink_mask(6, 2, 2), together)


def test_block_by_hand_with_a_last_block_that_is_cut():
    layout = torch.tensor([[1, 0, 0], [0, 0, 1], [1, 0, 1]]).bool()
    assert ints(block_mask(layout, 5, 2, causal=False)) == rows("11000", "11000", "00001", "00001", "11001")
    assert ints(block_mask(layout, 5, 2, causal=True)) == rows("10000", "11000", "00000", "00000", "11001")
    assert torch.equal(block_mask(layout, 3, 1, causal=False), layout)
    assert torch.equal(block_mask(torch.ones(3, 3).bool(), 5, 2, causal=True), causal_mask(5))


def test_bigbird_sees_as_many_blocks_as_the_paper_says():
    # The base model: blocks of 64; 2 global, 3 in the window, 3 random: 8 of the 64 blocks of 4,096 tokens.
    layout = bigbird_layout(64, window=3, num_random=3, num_global=2, generator=seeded())
    assert layout[:2].all()
    assert layout[:, :2].all()
    for distance in (-1, 0, 1):
        assert layout.diagonal(distance).all()
    blocks = layout.sum(dim=1)
    assert (blocks[3:-1] == 8).all()
    assert blocks[2] == 7  # block 1 is both global and a neighbour
    assert blocks[-1] == 7  # the window is cut off
    assert pairs(block_mask(layout, 4096, 64, causal=False)) == 64 * 64 * layout.sum()


def test_bigbird_draws_random_blocks_from_the_generator_evenly_and_only_new_ones():
    options = dict(window=1, num_random=2, num_global=0)
    layouts = [bigbird_layout(9, **options, generator=seeded(seed)) for seed in range(300)]
    assert torch.equal(layouts[3], bigbird_layout(9, **options, generator=seeded(3)))
    assert not torch.equal(layouts[3], layouts[4])
    share = torch.stack(layouts).float().mean(dim=0)
    assert (share.diagonal() == 1).all()
    others = share[~torch.eye(9, dtype=torch.bool)]
    torch.testing.assert_close(others, torch.full_like(others, 2 / 8), atol=0.1, rtol=0)
    assert bigbird_layout(4, window=1, num_random=3, num_global=0, generator=seeded()).all()
    assert bigbird_layout(4, window=1, num_random=9, num_global=4, generator=seeded()).all()


def test_bigbird_without_random_and_global_blocks_is_a_window_of_half_to_each_side():
    layout = bigbird_layout(9, window=5, num_random=0, num_global=0, generator=seeded())
    assert torch.equal(layout, sliding_window_mask(9, 3, causal=False))


@pytest.mark.parametrize("num_layers", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("window", [1, 2, 4])
def test_a_window_reaches_back_its_width_less_one_for_each_layer(window, num_layers):
    length = 20
    seen = reachable(sliding_window_mask(length, window), num_layers)
    assert torch.equal(seen, sliding_window_mask(length, num_layers * (window - 1) + 1))
    seen = reachable(sliding_window_mask(length, window, causal=False), num_layers)
    assert torch.equal(seen, sliding_window_mask(length, num_layers * (window - 1) + 1, causal=False))


def test_doubled_dilations_reach_back_exponentially_far():
    length, reached = 40, torch.eye(40, dtype=torch.bool)
    for layer in range(5):
        one = reachable(dilated_mask(length, 2, 2**layer), 1)
        reached = one.float() @ reached.float() > 0
        assert torch.equal(reached, sliding_window_mask(length, 2 ** (layer + 1)))
    assert torch.equal(reachable(dilated_mask(length, 2, 16), 1).sum(dim=1), 1 + (torch.arange(length) >= 16).long())


def test_one_global_token_makes_everything_reach_everything_in_two_layers():
    mask = sliding_window_mask(15, 2, causal=False) | global_mask(15, [6], causal=False)
    assert not reachable(mask, 1).all()
    assert reachable(mask, 2).all()
    causal = sliding_window_mask(15, 2) | global_mask(15, [6], causal=True)
    assert reachable(causal, 2)[14].tolist() == [j <= 6 or j >= 12 for j in range(15)]  # only what lies before it


def test_reach_is_directed_and_keeps_what_the_residual_connection_carries():
    chain = torch.zeros(4, 4, dtype=torch.bool)
    chain[2, 1] = chain[1, 0] = True  # 0 → 1 → 2, and 3 sees nothing
    assert ints(reachable(chain, 1)) == rows("1000", "1100", "0110", "0001")
    assert ints(reachable(chain, 2)) == rows("1000", "1100", "1110", "0001")
    assert torch.equal(reachable(chain, 50), reachable(chain, 2))
    assert reachable(torch.ones(300, 300).bool(), 40).all()


def test_pairs_are_counted():
    assert pairs(causal_mask(10)) == 55
    assert pairs(sliding_window_mask(10, 3)) == 27
    assert pairs(sliding_window_mask(10, 3) & dilated_mask(10, 9, 2)) == 18
    assert pairs(causal_mask(0)) == 0
    assert type(pairs(causal_mask(3))) is int


def test_patterns_of_nothing_and_of_one():
    one_block = torch.ones(1, 1).bool()
    for length in (0, 1):
        masks = [
            dilated_mask(length, 2, 3),
            strided_mask(length, 2),
            fixed_mask(length, 2),
            global_mask(length, range(length), causal=True),
            sink_mask(length, 2, 1),
            block_mask(one_block[:length, :length], length, 4, causal=True),
            reachable(causal_mask(length), 2),
        ]
        assert all(mask.shape == (length, length) and mask.dtype == torch.bool and mask.all() for mask in masks)


@pytest.mark.messages
def test_mistakes_are_named():
    def refused(message, make, *args, **options):
        with pytest.raises(ValueError, match=message):
            make(*args, **options)

    for make in (dilated_mask, strided_mask, fixed_mask, sink_mask):
        sizes = {dilated_mask: (2, 2), sink_mask: (2, 2)}.get(make, (2,))
        refused("length is -1; expected at least 0", make, -1, *sizes)
    refused("length is -1; expected at least 0", global_mask, -1, [], causal=True)
    refused("window is 0; expected at least 1", dilated_mask, 4, 0, 2)
    refused("dilation is 0; expected at least 1", dilated_mask, 4, 2, 0)
    refused("stride is 0; expected at least 1", strided_mask, 4, 0)
    refused("stride is 1.5; expected at least 1, an integer", fixed_mask, 4, 1.5)
    refused("window 0; expected length >= 0 and window >= 1", sink_mask, 4, 0, 1)
    refused("num_sinks is -1; expected at least 0", sink_mask, 4, 2, -1)
    refused(
        "global_positions go from -1 to 2; expected 0 <= position < length = 4", global_mask, 4, [-1, 2], causal=True
    )
    refused("go from 4 to 4; expected 0 <= position < length = 4", global_mask, 4, [4], causal=False)
    layout = torch.ones(2, 2).bool()
    expected = r"torch.bool of shape \[2, 2\]; expected torch.bool of shape \[3, 3\]: lengths 5 and 5 in blocks of 2"
    refused(expected, block_mask, layout, 5, 2, causal=True)
    refused("layout is torch.float32", block_mask, layout.float(), 4, 2, causal=True)
    refused("block_size is 0", block_mask, layout, 4, 0, causal=True)
    refused("length is -1", block_mask, layout, -1, 2, causal=True)
    sizes = dict(window=3, num_random=1, num_global=1, generator=seeded())
    refused("num_blocks is 0; expected at least 1", bigbird_layout, 0, **sizes)
    refused("window is 2; expected an odd number of blocks", bigbird_layout, 4, **{**sizes, "window": 2})
    refused("num_random is -1", bigbird_layout, 4, **{**sizes, "num_random": -1})
    refused("num_global is -1", bigbird_layout, 4, **{**sizes, "num_global": -1})
    refused("position < length = 4", bigbird_layout, 4, **{**sizes, "num_global": 5})
    refused("num_layers is -1; expected at least 0", reachable, layout, -1)
    refused(r"shape \[2, 3\]; expected torch.bool, square", reachable, torch.ones(2, 3).bool(), 1)
    refused(r"mask is torch.float32 of shape \[2, 2\]", reachable, layout.float(), 1)
