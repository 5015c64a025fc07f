"""Rotary positions against Transformers' Llama: plain, linear, NTK-aware, dynamic and YaRN, near and far, and turned queries."""

import math

import pytest
import torch
from inputs import close

from llmbook.nn import Rotary, RotaryScaling, apply_rotary, dynamic_scaling, half_split_rows, rotary_tables

llama = pytest.importorskip("transformers.models.llama.modeling_llama", reason="transformers is not installed")

HEAD_DIM, ORIGINAL, LENGTH = 16, 64, 96


def embedding(base=10_000.0, original=ORIGINAL, **parameters):
    """Their module: `rope_type` in their words."""
    rope = {"rope_type": "default", "rope_theta": base, **parameters}
    config = llama.LlamaConfig(
        hidden_size=4 * HEAD_DIM,
        num_attention_heads=4,
        max_position_embeddings=original,
        rope_parameters=rope,
    )
    return llama.LlamaRotaryEmbedding(config)


def tables_of(module, length):
    cos, sin = module(torch.zeros(1), torch.arange(length)[None])
    return Rotary(cos[0], sin[0])


def theirs(length=LENGTH, **options):
    return tables_of(embedding(**options), length)


def same(ours, reference):
    close(ours.cos, reference.cos)
    close(ours.sin, reference.sin)
    # At the first positions their float32 angles are as good as our float64 ones.
    close(ours.cos[:8], reference.cos[:8], 1e-6)
    close(ours.sin[:8], reference.sin[:8], 1e-6)


@pytest.mark.parametrize("base", [10_000.0, 500_000.0])
def test_plain(base):
    same(rotary_tables(HEAD_DIM, LENGTH, base=base), theirs(base=base))


@pytest.mark.parametrize("factor", [1.0, 2.0, 8.0])
def test_linear(factor):
    ours = rotary_tables(HEAD_DIM, LENGTH, scaling=RotaryScaling("linear", factor, ORIGINAL))
    same(ours, theirs(rope_type="linear", factor=factor))


@pytest.mark.parametrize("factor", [2.0, 4.0])
def test_ntk_is_their_dynamic_one_at_the_length_where_its_base_is_the_same(factor):
    # Theirs multiplies the base by (s L / L₀ − (s − 1))^(d / (d − 2)), which is s^(d / (d − 2)) at L = L₀ (2s − 1) / s.
    length = int(ORIGINAL * (2 * factor - 1) / factor)
    ours = rotary_tables(HEAD_DIM, length, scaling=RotaryScaling("ntk", factor, ORIGINAL))
    same(ours, theirs(length, rope_type="dynamic", factor=factor))


@pytest.mark.parametrize("original", [ORIGINAL, 2048])
@pytest.mark.parametrize("factor", [2.0, 16.0])
def test_yarn_with_its_attention_factor(factor, original):
    ours = rotary_tables(HEAD_DIM, LENGTH, scaling=RotaryScaling("yarn", factor, original))
    reference = theirs(rope_type="yarn", factor=factor, original_max_position_embeddings=original)
    same(ours, reference)
    close(reference.cos[0], torch.full((HEAD_DIM,), 0.1 * math.log(factor) + 1), 1e-6)


@pytest.mark.parametrize("factor", [1.0, 2.0, 8.0])
@pytest.mark.parametrize("length", [1, 63, 64, 65, 96, 200])
def test_dynamic(factor, length):
    scaling = dynamic_scaling(length, factor=factor, original_max_seq_len=ORIGINAL)
    ours, reference = (
        rotary_tables(HEAD_DIM, length, scaling=scaling),
        theirs(length, rope_type="dynamic", factor=factor),
    )
    close(ours.cos, reference.cos, 3e-5)
    close(ours.sin, reference.sin, 3e-5)


def test_theirs_comes_back_from_a_long_text_to_one_below_the_original_length_but_not_to_one_between():
    module = embedding(rope_type="dynamic", factor=4.0)

    def ours(length):
        return rotary_tables(
            HEAD_DIM, length, scaling=dynamic_scaling(length, factor=4.0, original_max_seq_len=ORIGINAL)
        )

    same(ours(200), tables_of(module, 200))
    # Theirs goes on with the base of the longest text so far; ours knows this one only.
    same(Rotary(ours(200).cos[:100], ours(200).sin[:100]), tables_of(module, 100))
    assert (ours(100).cos - ours(200).cos[:100]).abs().max() > 0.1
    same(ours(40), tables_of(module, 40))


@pytest.mark.parametrize("kind", [None, "linear", "ntk", "yarn"])
@pytest.mark.parametrize("trained", [256, 2048])
@pytest.mark.parametrize("base", [10_000.0, 500_000.0])
def test_far_out_and_beyond_the_trained_length(kind, trained, base):
    factor, length = 4.0, 2 * trained + 100
    scaling = None if kind is None else RotaryScaling(kind, factor, trained)
    ours = rotary_tables(HEAD_DIM, length, base=base, scaling=scaling)
    parameters = {} if kind is None else {"rope_type": kind, "factor": factor}
    if kind == "ntk":  # theirs, at the length where its base is the same, asked for more positions afterwards
        module = embedding(base, trained, rope_type="dynamic", factor=factor)
        tables_of(module, int(trained * (2 * factor - 1) / factor))
        module.max_seq_len_cached = length
    else:
        module = embedding(base, trained, **parameters)
    reference = tables_of(module, length)
    # Their angles are float32 ones, which are off by 1e-7 of themselves.
    for window in (slice(0, 8), slice(trained - 8, trained + 8), slice(length - 16, length)):
        tolerance = max(2e-7 * window.stop, 1e-6)
        close(ours.cos[window], reference.cos[window], tolerance)
        close(ours.sin[window], reference.sin[window], tolerance)


def test_half_split_rows_undo_what_their_conversion_to_gguf_does():
    # llama.cpp's conversion of Llama, from halves to neighbours.
    weight = torch.randn(3 * HEAD_DIM, 5, generator=torch.Generator().manual_seed(0))
    neighbours = weight.view(3, 2, HEAD_DIM // 2, 5).transpose(1, 2).reshape(weight.shape)
    assert torch.equal(half_split_rows(neighbours, 3), weight)
    assert not torch.equal(half_split_rows(weight, 3), neighbours)


def test_queries_and_keys_are_turned_as_theirs():
    rng = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 2, 4, 10, HEAD_DIM, generator=rng)
    positions = torch.randint(LENGTH, (2, 10), generator=rng)
    reference, tables = theirs(), rotary_tables(HEAD_DIM, LENGTH)
    turned = llama.apply_rotary_pos_emb(query, key, reference.cos[positions], reference.sin[positions])
    close(apply_rotary(query, tables, positions=positions), turned[0], 3e-5)
    exact = llama.apply_rotary_pos_emb(query, key, tables.cos[positions], tables.sin[positions])
    close(apply_rotary(query, tables, positions=positions), exact[0], 1e-6)
    close(apply_rotary(key, tables, positions=positions), exact[1], 1e-6)
