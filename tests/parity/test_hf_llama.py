"""Llama's scores against Transformers': many, grouped and one key head, scaled positions, padding, generation, Mistral's window."""

import pytest
import torch
from inputs import close

from llmbook.generation import generate
from llmbook.models import Llama, LlamaConfig
from llmbook.nn import RotaryScaling

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

SIZES = dict(vocab_size=37, d_model=24, num_heads=6, num_layers=3, d_ff=40, max_seq_len=64)


def pair(num_kv_heads=2, tied=False, scaling=None, rope=None, window=None):
    """Theirs with random weights, and ours with the same."""
    torch.manual_seed(0)
    sizes = dict(
        vocab_size=37, hidden_size=24, num_attention_heads=6, num_key_value_heads=num_kv_heads, num_hidden_layers=3,
        intermediate_size=40, max_position_embeddings=64, rms_norm_eps=1e-5, tie_word_embeddings=tied,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0} | (rope or {}),
    )  # fmt: skip
    if window is None:
        reference = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, attn_implementation="eager"))
    else:
        config = transformers.MistralConfig(**sizes, sliding_window=window, attn_implementation="eager")
        reference = transformers.MistralForCausalLM(config)
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.copy_(0.3 * torch.randn_like(parameter) + (parameter.ndim == 1))
    ours = Llama(
        LlamaConfig(**SIZES, num_kv_heads=num_kv_heads, tie_embeddings=tied, rope_scaling=scaling, window=window)
    )
    ours.load_hf_state_dict(reference.state_dict())
    return ours.eval(), reference.eval()


def ids(batch, length):
    return torch.randint(37, (batch, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("num_kv_heads", [6, 2, 1])
@torch.no_grad()
def test_scores(num_kv_heads, tied):
    ours, reference = pair(num_kv_heads, tied)
    close(ours(ids(2, 50)), reference(ids(2, 50)).logits, 1e-4)


@pytest.mark.parametrize(
    ("kind", "rope"),
    [
        ("linear", dict(rope_type="linear", factor=4.0)),
        ("yarn", dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16)),
    ],
)
@torch.no_grad()
def test_scores_with_scaled_positions(kind, rope):
    ours, reference = pair(scaling=RotaryScaling(kind, 4.0, 16), rope=rope)
    close(ours(ids(2, 60)), reference(ids(2, 60)).logits, 1e-4)


@pytest.mark.parametrize("window", [1, 5, 100])
@torch.no_grad()
def test_scores_with_the_window_of_mistral(window):
    ours, reference = pair(window=window)
    close(ours(ids(2, 30)), reference(ids(2, 30)).logits, 1e-4)


@torch.no_grad()
def test_a_batch_with_left_padding_and_what_is_written_after_it():
    ours, reference = pair()
    x, mask = ids(2, 9), torch.ones(2, 9, dtype=torch.bool)
    mask[0, :4] = False
    scores = reference(x, attention_mask=mask.long(), position_ids=(mask.cumsum(1) - 1).clamp(min=0)).logits
    close(ours(x, token_mask=mask)[mask], scores[mask], 1e-4)
    theirs = reference.generate(
        x, attention_mask=mask.long(), max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    assert torch.equal(generate(ours, x, token_mask=mask, max_new_tokens=12, temperature=0), theirs)
