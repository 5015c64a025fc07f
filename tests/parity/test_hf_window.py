"""Mistral's sliding window in Transformers: which keys it sees, the layer's output, and how far a whole model looks back."""

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import LocalAttention, local_attention, reachable, rotary_tables, sliding_window_mask

mistral = pytest.importorskip("transformers.models.mistral.modeling_mistral", reason="transformers is not installed")


def config(window, num_layers=1):
    return mistral.MistralConfig(
        vocab_size=11,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=num_layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=32,
        sliding_window=window,
        attn_implementation="eager",
    )


def their_mask(window, x):
    """0 where they may attend, the least number elsewhere; [1, 1, query, key]."""
    positions = torch.arange(x.shape[1])[None]
    return mistral.create_sliding_window_causal_mask(
        config=config(window), inputs_embeds=x, attention_mask=None, past_key_values=None, position_ids=positions
    )


@pytest.mark.parametrize("window", range(1, 16))
def test_their_window_counts_the_token_itself_as_ours_does(window):
    theirs = their_mask(window, torch.zeros(2, 13, 32))
    assert theirs.shape[2:] == (13, 13)
    assert torch.equal((theirs == 0).expand(2, 1, 13, 13), sliding_window_mask(13, window).expand(2, 1, 13, 13))


@pytest.mark.parametrize("window", [1, 4, 7, 13, 20])
def test_local_attention_is_their_eager_attention_under_that_mask(window):
    query, key, value = (random_inputs(2, 4, 13, 8, seed=seed) for seed in range(3))
    mask = their_mask(window, torch.zeros(2, 13, 32))
    layer = mistral.MistralAttention(config(window), 0).eval()
    layer.num_key_value_groups = 1
    expected, _ = mistral.eager_attention_forward(layer, query, key, value, mask, scaling=8**-0.5)
    close(local_attention(query, key, value, window=window), expected.transpose(1, 2))


@pytest.mark.parametrize("window", [1, 4, 20])
def test_the_layer_with_their_weights(window):
    torch.manual_seed(0)
    theirs = mistral.MistralAttention(config(window), 0).eval()
    ours = LocalAttention(32, 4, window=window, num_kv_heads=2, use_bias=False)
    names = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "o_proj"}
    ours.load_state_dict({f"{name}.weight": getattr(theirs, names[name]).weight for name in names})
    x = random_inputs(2, 13, 32)
    tables = rotary_tables(8, 13)
    expected, _ = theirs(x, (tables.cos[None], tables.sin[None]), their_mask(window, x))
    close(ours(x, rotary=tables), expected)


@pytest.mark.parametrize(("window", "num_layers"), [(3, 1), (3, 2), (2, 3)])
def test_their_model_looks_back_as_far_as_reach_says(window, num_layers):
    torch.manual_seed(0)
    model = mistral.MistralModel(config(window, num_layers)).eval()
    x = random_inputs(1, 10, 32).requires_grad_()
    hidden = model(inputs_embeds=x, use_cache=False).last_hidden_state[0]
    influence = torch.stack([torch.autograd.grad(row[0], x, retain_graph=True)[0][0].norm(dim=-1) for row in hidden])
    assert torch.equal(influence > 0, reachable(sliding_window_mask(10, window), num_layers))
