"""Attention by a function: equal to multi-head attention where the function is, and the masks that it must refuse."""

from functools import partial

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import AttentionBy, MultiHeadAttention, causal_mask, flash_attention, linear_attention, rotary_tables


def pair(causal, num_kv_heads=None):
    torch.manual_seed(0)
    exact = MultiHeadAttention(12, 3, num_kv_heads=num_kv_heads)
    other = AttentionBy(
        12, 3, attend=partial(flash_attention, causal=causal, block_size=2), causal=causal, num_kv_heads=num_kv_heads
    )
    other.load_state_dict(exact.state_dict())
    return exact, other


@pytest.mark.parametrize("num_kv_heads", [None, 1])
def test_exact_heads_give_exact_attention(num_kv_heads):
    x, mask = random_inputs(2, 7, 12), causal_mask(7)
    exact, other = pair(True, num_kv_heads)
    close(other(x, mask=mask), exact(x, mask=mask))
    close(other(x), exact(x, mask=mask))
    real = torch.ones(2, 1, 1, 7, dtype=torch.bool)
    close(other(x, mask=mask & real), exact(x, mask=mask))
    tables = rotary_tables(4, 9)
    close(other(x, rotary=tables), exact(x, mask=mask, rotary=tables))
    exact, other = pair(False, num_kv_heads)
    close(other(x, mask=torch.ones(7, 7, dtype=torch.bool)), exact(x))
    assert (other(x) - exact(x, mask=mask)).abs().max() > 1e-3


@pytest.mark.messages
def test_mistakes_are_named():
    x, (_, causal), (_, full) = random_inputs(2, 7, 12), pair(True), pair(False)
    with pytest.raises(ValueError, match="hides 21 places; this attention is not causal"):
        full(x, mask=causal_mask(7))
    with pytest.raises(ValueError, match="mask"):
        causal(x, mask=torch.ones(7, 7, dtype=torch.bool))
    for given in (dict(context=x), dict(bias=torch.zeros(7, 7))):
        with pytest.raises(ValueError, match=f"got a {next(iter(given))}"):
            causal(x, **given)
    with pytest.raises(ValueError, match=r"dropout is 0.1; such heads"):
        AttentionBy(12, 3, attend=partial(linear_attention, causal=True), causal=True, dropout=0.1)
