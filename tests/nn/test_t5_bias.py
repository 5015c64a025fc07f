"""T5's buckets by hand and in whole numbers, the bias by distance, and the mistakes that it must refuse."""

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import LayerCache, MultiHeadAttention, T5Bias, causal_mask, t5_bucket


def test_buckets_by_hand():
    # 8 buckets for the past, up to 16: one each for 0 … 3, then borders at 4 · 4^(k/4) = 4, 5.7, 8, 11.3, 16.
    past = -torch.arange(20)
    expected = [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7]
    assert t5_bucket(past, bidirectional=False, num_buckets=8, max_distance=16).tolist() == expected
    # What comes behind the query is where the query is itself.
    assert t5_bucket(-past, bidirectional=False, num_buckets=8, max_distance=16).tolist() == [0] * 20
    # With 16 for both directions, keys behind the query have the other half.
    both = {"bidirectional": True, "num_buckets": 16, "max_distance": 16}
    assert t5_bucket(past, **both).tolist() == expected
    assert t5_bucket(-past, **both).tolist() == [0] + [8 + bucket for bucket in expected[1:]]


def in_whole_numbers(distance, num_buckets, max_distance):
    """The bucket in one direction: m + k ≤ bucket where (d / m)^w ≥ (max_distance / m)^k, without fractions."""
    exact = num_buckets // 2
    wide, k = num_buckets - exact, 0
    if distance < exact:
        return distance
    while k < wide - 1 and distance**wide * exact ** (k + 1) >= max_distance ** (k + 1) * exact**wide:
        k += 1
    return exact + k


@pytest.mark.parametrize(
    ("num_buckets", "max_distance"), [(16, 128), (32, 128), (16, 20), (6, 64), (32, 1024), (16, 648), (2, 7), (7, 48)]
)
def test_no_border_is_missed_by_a_rounding_error(num_buckets, max_distance):
    distance = torch.arange(max_distance + 20)
    expected = torch.tensor([in_whole_numbers(d, num_buckets, max_distance) for d in distance.tolist()])
    sizes = {"max_distance": max_distance, "num_buckets": num_buckets}
    assert torch.equal(t5_bucket(-distance, bidirectional=False, **sizes), expected)
    sizes["num_buckets"] *= 2
    assert torch.equal(t5_bucket(-distance, bidirectional=True, **sizes), expected)
    assert torch.equal(t5_bucket(distance[1:], bidirectional=True, **sizes), num_buckets + expected[1:])


def test_where_the_released_code_rounds_a_border_down_so_do_we():
    # 14 = 2 · 343^(1/3) is a border in whole numbers; in float32 ln 7 / ln 343 · 3 is below 1.
    assert in_whole_numbers(14, 5, 686) == 3
    assert t5_bucket(torch.tensor(-14), bidirectional=False, num_buckets=5, max_distance=686).item() == 2


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (8, 20), (64, 512), (9, 30)])
def test_every_bucket_up_to_the_last_is_used_in_order(bidirectional, num_buckets, max_distance):
    sizes = {"bidirectional": bidirectional, "num_buckets": num_buckets, "max_distance": max_distance}
    past = t5_bucket(-torch.arange(3 * max_distance), **sizes)
    last = (num_buckets // 2 if bidirectional else num_buckets) - 1
    assert past.unique().tolist() == list(range(last + 1))
    assert (past.diff() >= 0).all()
    assert (past[max_distance:] == last).all()


def test_integers_in_and_out_of_any_shape():
    positions = torch.arange(-60, 60).view(3, 4, 10)
    bucket = t5_bucket(positions, bidirectional=True)
    assert bucket.dtype == torch.int64
    assert bucket.shape == (3, 4, 10)
    assert torch.equal(t5_bucket(positions.int(), bidirectional=True), bucket)
    assert torch.equal(t5_bucket(positions[1, 2, 3], bidirectional=True), bucket[1, 2, 3])
    assert t5_bucket(positions[:0], bidirectional=False).shape == (0, 4, 10)
    assert t5_bucket(positions.to("meta"), bidirectional=False).is_meta
    assert t5_bucket(torch.tensor([-(10**9), 10**9]), bidirectional=True).tolist() == [15, 31]


def layer(num_heads=3, **options):
    torch.manual_seed(0)
    return T5Bias(num_heads, **{"bidirectional": True, "num_buckets": 8, "max_distance": 12, **options})


@pytest.mark.parametrize("bidirectional", [True, False])
def test_the_bias_is_the_row_of_the_bucket_with_the_queries_last(bidirectional):
    module = layer(bidirectional=bidirectional)
    assert [p.shape for p in module.parameters()] == [(8, 3)]
    bias = module(4, 20)
    for head, query, key in ((0, 0, 0), (1, 3, 19), (2, 1, 15), (0, 2, 19), (2, 3, 10)):
        position = torch.tensor(key - (query + 16))
        bucket = t5_bucket(position, bidirectional=bidirectional, num_buckets=8, max_distance=12)
        assert bias[head, query, key] == module.table[bucket, head]
    assert bias.shape == (3, 4, 20)
    assert torch.equal(module(20, 20)[:, 16:], bias)
    assert module(0, 5).shape == (3, 0, 5)
    assert module.double()(1, 2).dtype == torch.float64
    with torch.device("meta"):
        assert layer()(2, 5).is_meta


def test_at_first_no_distance_counts_for_much():
    table = layer(32, num_buckets=32, max_distance=128).table
    assert abs(table.std() - 0.02) < 0.002


def test_a_row_learns_from_every_pair_in_its_bucket():
    module = layer()
    module(6, 6).sum().backward()
    positions = torch.arange(6) - torch.arange(6)[:, None]
    bucket = t5_bucket(positions, bidirectional=True, num_buckets=8, max_distance=12)
    close(module.table.grad, bucket.flatten().bincount(minlength=8)[:, None].float().expand(8, 3), 0)


def test_with_a_cache_the_queries_are_the_last():
    torch.manual_seed(0)
    attention, x, cache, outputs = MultiHeadAttention(12, 3), random_inputs(2, 9, 12), LayerCache(), []
    module = layer(bidirectional=False)
    torch.nn.init.normal_(module.table)
    for chunk in x.split([5, 1, 3], dim=1):
        sizes = chunk.shape[1], cache.length + chunk.shape[1]
        outputs.append(attention(chunk, mask=causal_mask(*sizes), bias=module(*sizes), cache=cache))
    whole = attention(x, mask=causal_mask(9), bias=module(9, 9))
    close(torch.cat(outputs, dim=1), whole)
    assert (whole - attention(x, mask=causal_mask(9))).abs().max() > 1e-3


@pytest.mark.messages
def test_mistakes_are_named():
    positions = torch.arange(4)
    for bidirectional, num_buckets, least in ((True, 3, 4), (False, 1, 2), (False, 8.0, 2)):
        message = (
            f"num_buckets is {num_buckets}; expected an integer, at least {least} with bidirectional={bidirectional}"
        )
        with pytest.raises(ValueError, match=message):
            t5_bucket(positions, bidirectional=bidirectional, num_buckets=num_buckets)
        with pytest.raises(ValueError, match=message):
            T5Bias(2, bidirectional=bidirectional, num_buckets=num_buckets)
    for bidirectional, exact in ((True, 8), (False, 16)):
        with pytest.raises(ValueError, match=f"max_distance is {exact}; expected an integer above {exact}, the number"):
            t5_bucket(positions, bidirectional=bidirectional, max_distance=exact)
        with pytest.raises(ValueError, match=f"max_distance is {exact}; expected an integer above {exact}"):
            T5Bias(2, bidirectional=bidirectional, max_distance=exact)
    for dtype in (torch.float32, torch.bool):
        with pytest.raises(ValueError, match=f"relative_position has dtype {dtype}; expected an integer type"):
            t5_bucket(positions.to(dtype), bidirectional=True)
    with pytest.raises(ValueError, match="num_heads is 0; expected at least 1"):
        layer(0)
    with pytest.raises(ValueError, match="query_len is 3, key_len 2; expected 0 <= query_len <= key_len"):
        layer()(3, 2)
