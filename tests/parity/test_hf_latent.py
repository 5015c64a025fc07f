"""Latent attention against Transformers' DeepSeek-V2 and V3: values, gradients, and what is cached."""

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import LatentAttention, LayerCache, RMSNorm, causal_mask, rotary_tables

v2 = pytest.importorskip(
    "transformers.models.deepseek_v2.modeling_deepseek_v2", reason="no DeepSeek-V2 in transformers"
)
v3 = pytest.importorskip(
    "transformers.models.deepseek_v3.modeling_deepseek_v3", reason="no DeepSeek-V3 in transformers"
)

D_MODEL, HEADS, HEAD_DIM, KV_RANK, ROPE_DIM, LENGTH = 21, 3, 4, 8, 6, 9


def their_config(version, query_rank, **options):
    return getattr(version, f"DeepseekV{2 if version is v2 else 3}Config")(
        hidden_size=D_MODEL,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        kv_lora_rank=KV_RANK,
        q_lora_rank=query_rank,
        qk_rope_head_dim=ROPE_DIM,
        qk_nope_head_dim=HEAD_DIM,
        v_head_dim=HEAD_DIM,
        max_position_embeddings=32,
        num_hidden_layers=1,
        attn_implementation="eager",
        **options,
    )


def halves(weight, heads):
    """The rows of each head in our order: the first of each pair of neighbours, then the second of each."""
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def ours_of(theirs, query_rank, interleaved):
    """Our layer with their weights: each of theirs that makes two things is cut in two."""
    ours = LatentAttention(
        D_MODEL,
        HEADS,
        kv_rank=KV_RANK,
        rope_dim=ROPE_DIM,
        head_dim=HEAD_DIM,
        query_rank=query_rank,
        norm=RMSNorm,
    )
    order = halves if interleaved else lambda weight, heads: weight
    query = (theirs.q_proj if query_rank is None else theirs.q_b_proj).weight.unflatten(0, (HEADS, -1))
    key_value = theirs.kv_b_proj.weight.unflatten(0, (HEADS, -1))
    latent, rotary = theirs.kv_a_proj_with_mqa.weight.split([KV_RANK, ROPE_DIM])
    state = {
        "kv_down.0.weight": latent,
        "kv_down.1.weight": theirs.kv_a_layernorm.weight,
        "key_rotary.weight": order(rotary, 1),
        "key_up.weight": key_value[:, :HEAD_DIM].flatten(0, 1),
        "value_up.weight": key_value[:, HEAD_DIM:].flatten(0, 1),
        "query_up.weight": query[:, :HEAD_DIM].flatten(0, 1),
        "query_rotary.weight": order(query[:, HEAD_DIM:].flatten(0, 1), HEADS),
        "output.weight": theirs.o_proj.weight,
    }
    if query_rank is not None:
        state |= {"query_down.0.weight": theirs.q_a_proj.weight, "query_down.1.weight": theirs.q_a_layernorm.weight}
    ours.load_state_dict(state)
    return ours


def randomized(module):
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return module


@pytest.mark.parametrize("absorb", [False, True])
@pytest.mark.parametrize("query_rank", [None, 10])
@pytest.mark.parametrize("kind", ["v2", "v3", "v3 not interleaved"])
def test_the_same_in_values_and_gradients(kind, query_rank, absorb):
    version, options = (v2, {}) if kind == "v2" else (v3, {"rope_interleave": kind == "v3"})
    config = their_config(version, query_rank, **options)
    name = "DeepseekV2" if version is v2 else "DeepseekV3"
    theirs = randomized(getattr(version, f"{name}Attention")(config, layer_idx=0))
    ours = ours_of(theirs, query_rank, interleaved=kind != "v3 not interleaved")
    positions = torch.tensor([[3, 4, 5, 6, 7, 8, 9, 10, 11], [0, 0, 1, 2, 3, 4, 5, 6, 7]])
    embeddings = getattr(version, f"{name}RotaryEmbedding")(config)(torch.zeros(1), positions)
    visible = causal_mask(LENGTH)
    hiding = torch.zeros(1, 1, LENGTH, LENGTH).masked_fill(~visible, -torch.inf)
    results = []
    tables = rotary_tables(ROPE_DIM, 32)
    for module, given in (
        (ours, {"mask": visible, "rotary": tables, "positions": positions, "absorb": absorb}),
        (theirs, {"attention_mask": hiding, "position_embeddings": embeddings}),
    ):
        x = random_inputs(2, LENGTH, D_MODEL).requires_grad_()
        output = module(x, **given)
        output = output[0] if module is theirs else output
        (output * random_inputs(2, LENGTH, D_MODEL, seed=1)).sum().backward()
        results.append((output, x.grad))
    for actual, expected in zip(*results, strict=True):
        close(actual, expected)


def test_what_is_cached_is_the_same():
    config = their_config(v3, None)
    theirs = randomized(v3.DeepseekV3Attention(config, layer_idx=0))
    ours, cache, kept = ours_of(theirs, None, interleaved=True), LayerCache(), v3.DynamicCache(config=config)
    x, tables = random_inputs(2, LENGTH, D_MODEL), rotary_tables(ROPE_DIM, 32)
    embeddings = v3.DeepseekV3RotaryEmbedding(config)(x, torch.arange(LENGTH)[None])
    theirs(x, attention_mask=None, position_embeddings=embeddings, past_key_values=kept)
    ours(x, rotary=tables, cache=cache)
    close(cache.key, kept.layers[0].keys)
    close(cache.value, kept.layers[0].values)
