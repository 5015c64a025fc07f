"""Rotary positions against Transformers' Llama: plain, linear, NTK-aware and YaRN, tables and turned queries."""

import math

import pytest
import torch
from inputs import close

from llmbook.nn import Rotary, RotaryScaling, apply_rotary, rotary_tables

llama = pytest.importorskip("transformers.models.llama.modeling_llama", reason="transformers is not installed")

HEAD_DIM, ORIGINAL, LENGTH = 16, 64, 96


def theirs(length=LENGTH, base=10_000.0, **parameters):
    """Their tables: `rope_type` in their words, a batch of one."""
    rope = {"rope_type": "default", "rope_theta": base, **parameters}
    config = llama.LlamaConfig(
        hidden_size=4 * HEAD_DIM,
        num_attention_heads=4,
        max_position_embeddings=ORIGINAL,
        rope_parameters=rope,
    )
    cos, sin = llama.LlamaRotaryEmbedding(config)(torch.zeros(1), torch.arange(length)[None])
    return Rotary(cos[0], sin[0])


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
