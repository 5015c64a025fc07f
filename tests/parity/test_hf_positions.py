"""Biases of relative positions against Transformers: T5's buckets and bias, ALiBi as in Bloom and MPT, Shaw's vectors."""

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import (
    ShawAttention,
    T5Bias,
    alibi_bias,
    alibi_slopes,
    causal_mask,
    scaled_dot_product_attention,
    shaw_index,
    t5_bucket,
)

t5 = pytest.importorskip("transformers.models.t5.modeling_t5", reason="transformers is not installed")
bloom = pytest.importorskip("transformers.models.bloom.modeling_bloom", reason="transformers is not installed")
mpt = pytest.importorskip("transformers.models.mpt.modeling_mpt", reason="transformers is not installed")
wav2vec2 = pytest.importorskip("transformers.models.wav2vec2_bert.modeling_wav2vec2_bert")


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("num_buckets", [8, 10, 32, 64, 128])
@pytest.mark.parametrize("max_distance", [65, 128, 343, 1024, 2500])
def test_t5_buckets(bidirectional, num_buckets, max_distance):
    positions = torch.arange(-2000, 2001)
    sizes = {"bidirectional": bidirectional, "num_buckets": num_buckets, "max_distance": max_distance}
    expected = t5.T5Attention._relative_position_bucket(positions, **sizes)
    assert torch.equal(t5_bucket(positions, **sizes), expected)
    assert torch.equal(t5_bucket(positions.view(1, -1, 1), **sizes), expected.view(1, -1, 1))


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("query_len", "key_len"), [(7, 7), (1, 40), (5, 160)])
def test_t5_bias(bidirectional, query_len, key_len):
    config = t5.T5Config(d_model=12, d_kv=4, num_heads=3, is_decoder=not bidirectional)
    module = t5.T5Attention(config, has_relative_attention_bias=True, layer_idx=0)
    ours = T5Bias(3, bidirectional=bidirectional)
    ours.table.data = module.relative_attention_bias.weight.data
    bias = module.compute_bias(query_len, key_len, past_seen_tokens=key_len - query_len)
    assert torch.equal(ours(query_len, key_len), bias[0])


HEADS = [1, 3, 6, 8, 12, 16, 20, 71]


@pytest.mark.parametrize("num_heads", HEADS)
def test_alibi_slopes_are_those_of_bloom_and_mpt(num_heads):
    theirs = bloom.build_alibi_tensor(torch.ones(1, 2), num_heads, torch.float32)[:, 0, 1]
    close(alibi_slopes(num_heads), theirs, 1e-6)
    close(alibi_slopes(num_heads), -mpt.build_mpt_alibi_tensor(num_heads, 2)[:, 0, 0], 1e-6)


@pytest.mark.parametrize("num_heads", HEADS)
def test_alibi_differs_from_theirs_by_a_constant_for_each_row_that_softmax_does_not_see(num_heads):
    length = 9
    ours, mask = alibi_bias(num_heads, length, length), causal_mask(length)
    query, key, value = (random_inputs(1, num_heads, length, 4, seed=seed) for seed in range(3))
    output = scaled_dot_product_attention(query, key, value, mask=mask, bias=ours)
    # Bloom's grows with the key's position, as if each query were at 0; MPT's as if each were at the last.
    first = bloom.build_alibi_tensor(torch.ones(1, length), num_heads, torch.float32)
    last = mpt.build_mpt_alibi_tensor(num_heads, length)
    for theirs, assumed in ((first, 0), (last, length - 1)):
        assert theirs.shape == (num_heads, 1, length)
        by_row = alibi_slopes(num_heads)[:, None] * (assumed - torch.arange(length))
        difference = (ours - theirs).masked_fill(~mask, 0)
        close(difference, by_row[..., None].expand_as(ours).masked_fill(~mask, 0))
        assert difference.abs().max() > 1e-3
        close(scaled_dot_product_attention(query, key, value, mask=mask, bias=theirs), output)
    # Without a causal mask it does matter: theirs rewards keys of the future for being far away.
    both_ways = scaled_dot_product_attention(query, key, value, bias=ours)
    assert (scaled_dot_product_attention(query, key, value, bias=first) - both_ways).abs().max() > 1e-3


@pytest.mark.parametrize("max_distance", [0, 2, 20])
@pytest.mark.parametrize("length", [1, 7])
def test_shaw_without_value_vectors(max_distance, length):
    # BERT lost its `relative_key` in version 5; Wav2Vec2-BERT's, from Shaw et al. too, has keys only.
    config = wav2vec2.Wav2Vec2BertConfig(
        hidden_size=12,
        num_attention_heads=3,
        position_embeddings_type="relative_key",
        left_max_position_embeddings=max_distance,
        right_max_position_embeddings=max_distance,
        attn_implementation="eager",
    )
    torch.manual_seed(0)
    theirs = wav2vec2.Wav2Vec2BertSelfAttention(config).eval()
    ours = ShawAttention(12, 3, max_distance=max_distance, value_vectors=False)
    names = {"query": "linear_q", "key": "linear_k", "value": "linear_v", "output": "linear_out"}
    for name, their_name in names.items():
        getattr(ours, name).load_state_dict(getattr(theirs, their_name).state_dict())
    ours.key_vectors.data = theirs.distance_embedding.weight.data
    x, hidden = random_inputs(2, length, 12), ~causal_mask(length)
    for mask, additive in ((None, None), (~hidden, torch.zeros(length, length).masked_fill(hidden, -1e30))):
        output, weights = theirs(x, attention_mask=additive)
        close(ours(x, mask=mask), output)
        close(ours.attention_weights(x, mask=mask), weights)


@pytest.mark.parametrize("value_vectors", [True, False])
def test_shaw_far_out_is_the_plain_computation(value_vectors):
    torch.manual_seed(0)
    module = ShawAttention(8, 2, max_distance=16, value_vectors=value_vectors).double()
    x, length = random_inputs(1, 60, 8, dtype=torch.float64), 60
    query, key, value = module.project(x, None)
    index = shaw_index(length, length, max_distance=16)
    scores = torch.einsum("bhtk,bhtsk->bhts", query, key[:, :, None] + module.key_vectors[index]) / 2
    weights = scores.masked_fill(~causal_mask(length), -torch.inf).softmax(dim=-1)
    value = value[:, :, None] + (module.value_vectors[index] if value_vectors else 0)
    heads = (weights[..., None] * value).sum(dim=3)
    close(module(x, mask=causal_mask(length)), module.output(heads.transpose(1, 2).flatten(2)), 1e-10)
