"""Llama: sizes that are published, and what its loader refuses. The numbers are held in tests/parity/test_hf_llama.py."""

import pytest
import torch

from llmbook.models import Llama, LlamaConfig

SIZES = dict(vocab_size=13, d_model=12, num_heads=6, num_kv_heads=2, num_layers=2, d_ff=20, max_seq_len=30)


def theirs(model):
    """The weights under published names, each a tensor of its own."""
    layer = {
        "self_attention_norm": "input_layernorm",
        "self_attention.query": "self_attn.q_proj",
        "self_attention.key": "self_attn.k_proj",
        "self_attention.value": "self_attn.v_proj",
        "self_attention.output": "self_attn.o_proj",
        "feed_forward_norm": "post_attention_layernorm",
        "feed_forward.gate": "mlp.gate_proj",
        "feed_forward.up": "mlp.up_proj",
        "feed_forward.down": "mlp.down_proj",
    }
    found = {"model.embed_tokens.weight": model.embedding.weight, "model.norm.weight": model.norm.weight}
    for i, block in enumerate(model.blocks):
        for name, published in layer.items():
            found[f"model.layers.{i}.{published}.weight"] = block.get_parameter(f"{name}.weight")
    if not model.config.tie_embeddings:
        found["lm_head.weight"] = model.output.weight
    return {name: tensor.detach().clone() for name, tensor in found.items()}


@pytest.mark.parametrize(
    ("sizes", "parameters"),
    [
        (dict(vocab_size=32_000, d_model=4096, num_heads=32, num_layers=32, d_ff=11_008), 6_738_415_616),  # Llama 2 7B
        (
            dict(vocab_size=128_256, d_model=4096, num_heads=32, num_kv_heads=8, num_layers=32, d_ff=14_336),
            8_030_261_248,  # Llama 3 8B
        ),
        (
            dict(vocab_size=32_000, d_model=4096, num_heads=32, num_kv_heads=8, num_layers=32, d_ff=14_336),
            7_241_732_096,  # Mistral 7B
        ),
        (
            dict(
                vocab_size=49_152,
                d_model=576,
                num_heads=9,
                num_kv_heads=3,
                num_layers=30,
                d_ff=1536,
                tie_embeddings=True,
            ),
            134_515_008,  # SmolLM2 135M
        ),
    ],
)
def test_published_sizes(sizes, parameters):
    with torch.device("meta"):
        model = Llama(LlamaConfig(**sizes))
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize("tied", [True, False])
def test_weights_by_their_published_names(tied):
    torch.manual_seed(0)
    source, target = (Llama(LlamaConfig(**SIZES, tie_embeddings=tied)) for _ in range(2))
    weights = theirs(source) | {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(1)}
    if tied:
        target.load_hf_state_dict(weights | {"lm_head.weight": source.embedding.weight.detach().clone()})
    target.load_hf_state_dict(weights)
    x = torch.tensor([[1, 2, 3]])
    assert torch.equal(source(x), target(x))


@pytest.mark.messages
def test_what_does_not_fit_is_named_and_nothing_is_loaded():
    torch.manual_seed(0)
    model = Llama(LlamaConfig(**SIZES))
    before, fine = theirs(model), theirs(Llama(LlamaConfig(**SIZES)))
    name = "model.layers.1.mlp.up_proj.weight"
    for wrong, message in [
        (
            {key: value for key, value in fine.items() if key != name},
            rf"the state dict lacks '{name}' \(1 are missing\)",
        ),
        (
            fine | {"model.layers.2.mlp.up_proj.weight": fine[name]},
            r"unknown 'model.layers.2.mlp.up_proj.weight' \(1 are\)",
        ),
        (fine | {name: fine[name].T.contiguous()}, rf"'{name}' has shape \[12, 20\]; expected \[20, 12\]"),
        ({key: value for key, value in fine.items() if key != "lm_head.weight"}, "lacks 'lm_head.weight'"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.load_hf_state_dict(wrong)
        assert all(torch.equal(before[key], value) for key, value in theirs(model).items())
    with pytest.raises(ValueError, match="differs from 'model"):
        Llama(LlamaConfig(**SIZES, tie_embeddings=True)).load_hf_state_dict(fine)
    with pytest.raises(TypeError):
        LlamaConfig(**SIZES, positions="learned")
