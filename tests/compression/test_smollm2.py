"""A Llama and its tokenizer out of a GGUF file: made small by hand, and SmolLM2 itself."""

import pytest
import torch
from inputs import close
from pretrained import smollm2, smollm2_gguf
from torch.nn import functional as F

from llmbook import seeding
from llmbook.compression import GGUF, PretrainedLlama, llama_of, tokenizer_of
from llmbook.compression.smollm2 import LAYER_NAMES, whole_characters
from llmbook.data import load_corpus
from llmbook.generation import generate
from llmbook.models import Llama, LlamaConfig
from llmbook.tokenizers import ByteBPE
from llmbook.tokenizers.byte_level import written

BPE = ByteBPE.train(["the the then 12 12 12 12 你好你好"], 266, special_tokens=["<|endoftext|>", "<|im_end|>"])
SIZES = dict(num_heads=6, num_kv_heads=2, num_layers=2, d_ff=20, max_seq_len=30)


def interleaved(weight, num_heads):
    """The rows as llama.cpp's converter orders them, from halves to neighbours."""
    return weight.reshape(num_heads, 2, -1, weight.shape[1]).transpose(1, 2).reshape(weight.shape)


def metadata(tokenizer=BPE, cut="smollm"):
    names = [written(token) for token in tokenizer.ids] + list(tokenizer.special_ids)
    return {
        "general.architecture": "llama",
        "llama.embedding_length": 24,
        "llama.attention.head_count": SIZES["num_heads"],
        "llama.attention.head_count_kv": SIZES["num_kv_heads"],
        "llama.block_count": SIZES["num_layers"],
        "llama.feed_forward_length": SIZES["d_ff"],
        "llama.context_length": SIZES["max_seq_len"],
        "llama.attention.layer_norm_rms_epsilon": 0.03,
        "llama.rope.freq_base": 500.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": cut,
        "tokenizer.ggml.tokens": names,
        "tokenizer.ggml.token_type": [1] * len(tokenizer.ids) + [3] * len(tokenizer.special_ids),
        "tokenizer.ggml.merges": [f"{written(left)} {written(right)}" for left, right in tokenizer.merges],
    }


def small(tied):
    """A random model and its file."""
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=266, d_model=24, **SIZES, norm_eps=0.03, rope_base=500.0, tie_embeddings=tied)
    model = Llama(config).eval()
    for parameter in model.parameters():  # norms too, which begin as ones
        torch.nn.init.normal_(parameter, std=0.3)
    ours = {
        "attn_norm": "self_attention_norm", "attn_q": "self_attention.query", "attn_k": "self_attention.key",
        "attn_v": "self_attention.value", "attn_output": "self_attention.output", "ffn_norm": "feed_forward_norm",
        "ffn_gate": "feed_forward.gate", "ffn_up": "feed_forward.up", "ffn_down": "feed_forward.down",
    }  # fmt: skip
    assert ours.keys() == LAYER_NAMES.keys()
    tensors = {"token_embd.weight": model.embedding.weight, "output_norm.weight": model.norm.weight}
    for layer, block in enumerate(model.blocks):
        for kind, name in ours.items():
            tensors[f"blk.{layer}.{kind}.weight"] = block.get_parameter(f"{name}.weight")
        for kind, heads in (("attn_q", 6), ("attn_k", 2)):
            tensors[f"blk.{layer}.{kind}.weight"] = interleaved(tensors[f"blk.{layer}.{kind}.weight"], heads)
    if not tied:
        tensors["output.weight"] = model.output.weight
    return model, GGUF(metadata(), {name: tensor.detach().clone() for name, tensor in tensors.items()})


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_comes_out_of_a_file_as_it_went_in(tied):
    model, gguf = small(tied)
    found = llama_of(gguf)
    assert (found.config, found.training) == (model.config, False)
    token_ids = torch.randint(266, (2, 30), generator=seeding.generator(0))
    close(found(token_ids), model(token_ids), 1e-6)


def test_a_tokenizer_comes_out_of_a_file_as_it_went_in():
    text = "then the 2024 (12) 12.5你好<|im_end|>  \n1 \x13"
    for cut, single_digits in (("smollm", True), ("gpt-2", False)):
        found = tokenizer_of(GGUF(metadata(cut=cut), {}))
        expected = ByteBPE(BPE.ids, BPE.merges, BPE.special_ids, single_digits=single_digits)
        for allow_special in (False, True):
            ids = found.encode(text, allow_special=allow_special)
            assert ids == expected.encode(text, allow_special=allow_special)
            assert found.decode(ids) == text
            assert (BPE.ids[b"12"] in ids) != single_digits
    assert found.special_ids == BPE.special_ids


def test_text_is_written_in_whole_characters_up_to_a_special_token():
    n, hao, end = BPE.encode("你"), BPE.encode("好"), BPE.special_ids["<|im_end|>"]
    tokens = [id_ for id_ in map(BPE.ids.get, [b"a", b"\xf0", b"\x9f", b"\x99", b"\x82", b"\xff", b"b"])]
    assert list(whole_characters(BPE, iter([*tokens, *n, *hao]))) == ["a", "🙂", "\ufffd", "b", "你", "好"]
    assert list(whole_characters(BPE, iter([tokens[0], end, tokens[0]]))) == ["a"]
    assert list(whole_characters(BPE, iter(tokens[:3]))) == ["a", "\ufffd"]  # cut off
    assert list(whole_characters(BPE, iter([]))) == []


def test_what_is_written_is_what_generate_gives():
    model, gguf = small(tied=True)
    pretrained = PretrainedLlama(llama_of(gguf), tokenizer_of(gguf))
    for temperature in (0.0, 1.5):
        pieces = list(
            pretrained.write("then", max_new_tokens=9, temperature=temperature, generator=seeding.generator(3))
        )
        ids = torch.tensor([BPE.encode("then")])
        options = {"temperature": temperature, "generator": seeding.generator(3), "max_new_tokens": 9}
        row = generate(model, ids, **options)[0, ids.shape[1] :].tolist()
        assert "".join(pieces) == BPE.decode(row)


@pytest.mark.messages
def test_what_the_model_cannot_go_on_from_is_said_before_any_work():
    _, gguf = small(tied=True)
    pretrained = PretrainedLlama(llama_of(gguf), tokenizer_of(gguf))
    with pytest.raises(ValueError, match="the prompt is empty; expected a text to go on from"):
        pretrained.write("", max_new_tokens=3)
    with pytest.raises(ValueError, match="has 28 tokens and 3 are to follow; the model takes at most 30 together"):
        pretrained.write("?" * 28, max_new_tokens=3)
    assert len(list(pretrained.write("?" * 28, max_new_tokens=2))) <= 2
    with pytest.raises(ValueError, match="temperature is -1"):
        pretrained.write("a", max_new_tokens=3, temperature=-1)
    with pytest.raises(ValueError, match="lone surrogate"):
        pretrained.write("\ud800", max_new_tokens=3)


@pytest.mark.messages
def test_a_file_of_another_kind_is_refused_with_the_reason():
    _, gguf = small(tied=True)

    def changed(**entries):
        return GGUF(gguf.metadata | {key.replace("__", "."): value for key, value in entries.items()}, gguf.tensors)

    def without(key):
        return GGUF({name: value for name, value in gguf.metadata.items() if name != key}, gguf.tensors)

    for make, wrong, message in [
        (llama_of, changed(general__architecture="qwen2"), "general.architecture is 'qwen2'; expected 'llama'"),
        (llama_of, changed(llama__rope__scaling__type="yarn"), "llama.rope.scaling.type is 'yarn'; expected none"),
        (llama_of, without("llama.block_count"), "the metadata have no 'llama.block_count', which is needed"),
        (llama_of, changed(llama__block_count=3), "the state dict lacks 'model.layers.2.input_layernorm.weight'"),
        (llama_of, changed(llama__embedding_length=48), r"has shape \[266, 24\]; expected \[266, 48\]"),
        (llama_of, GGUF(gguf.metadata, gguf.tensors | {"rope_freqs.weight": torch.ones(2)}), "unknown 'rope_freqs"),
        (tokenizer_of, changed(tokenizer__ggml__model="llama"), "the tokenizer is 'llama' with the cut 'smollm'"),
        (
            tokenizer_of,
            changed(tokenizer__ggml__pre="qwen2"),
            "with the cut 'qwen2'; expected 'gpt2' with gpt-2 or smollm",
        ),
        (tokenizer_of, without("tokenizer.ggml.merges"), "no 'tokenizer.ggml.merges'"),
        (tokenizer_of, changed(tokenizer__ggml__token_type=[1]), "zip"),
        (tokenizer_of, changed(tokenizer__ggml__merges=["ab"]), "the merge of b'ab' and b'' leads out"),
    ]:
        with pytest.raises(ValueError, match=message):
            make(wrong)


@pytest.mark.slow
def test_smollm2_knows_its_facts():
    assert sum(p.numel() for p in smollm2().model.parameters()) == 134_515_008
    pieces = list(smollm2().write("The capital of France is", max_new_tokens=3))
    assert "".join(pieces).startswith(" Paris.")


@pytest.mark.slow
def test_the_order_of_rows_matters():
    """The same file with W_Q and W_K left as they stand in it reads Moby-Dick worse by more than a nat a token."""
    passage = load_corpus("moby_dick")[4]["text"][:1500]
    token_ids = torch.tensor([smollm2().tokenizer.encode(passage)])

    def loss(model):
        with torch.no_grad():
            return F.cross_entropy(model(token_ids[:, :-1])[0], token_ids[0, 1:]).item()

    gguf = smollm2_gguf()
    heads = {"attn_q": 9, "attn_k": 3}
    kept = {
        name: interleaved(w, heads[kind]) if (kind := name.split(".")[-2]) in heads else w
        for name, w in gguf.tensors.items()
    }
    right, wrong = loss(smollm2().model), loss(llama_of(GGUF(gguf.metadata, kept)))
    assert right < 4.5
    assert wrong - right > 1
