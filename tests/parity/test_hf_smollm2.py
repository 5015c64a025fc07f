"""SmolLM2 as Transformers and the package `gguf` read it from the same file: weights, scores, ids."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import close
from pretrained import smollm2, smollm2_file, smollm2_gguf
from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

from llmbook.generation import generate

pytestmark = pytest.mark.slow

gguf = pytest.importorskip("gguf", reason="gguf is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

TEXTS = [
    "",
    "The quick brown fox, it's 3.14159 or 2024-12-01; they'll pay $1,000,000.",
    "你好，世界！2024年，大型语言模型。",
    "👩‍👩‍👧 👍🏽 naïve café ½ Ⅷ ² ٣ 𝔘𝔫𝔦",
    "def f(x):\n    return [i ** 2 for i in range(10)]  # 1 2  3\n\n\n\tpass\r\n",
    "<|im_start|>user\nHi 5<|im_end|>\n<|endoftext|><jupyter_code><|im_end",
    "a  1  b   22   ",
    "\0\x04\x13\x7f\u00a0\u3000\u200b",
    "e" * 3000,
]


@pytest.fixture(scope="module")
def their_tokenizer():
    """Transformers leaves out of the file's "smollm" that digits are cut apart, which the published tokenizer.json does."""
    found = transformers.AutoTokenizer.from_pretrained(smollm2_file().parent, gguf_file=smollm2_file().name)
    found.backend_tokenizer.pre_tokenizer = Sequence(
        [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
    )
    return found


def test_weights_and_metadata():
    ours, theirs = smollm2_gguf(), gguf.GGUFReader(smollm2_file())
    for tensor in theirs.tensors:
        weights = gguf.dequantize(tensor.data, tensor.tensor_type)
        assert np.array_equal(ours.tensors[tensor.name].numpy().view(np.uint32), weights.view(np.uint32))
    assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
    assert ours.metadata == {
        key: field.contents() for key, field in theirs.fields.items() if not key.startswith("GGUF.")
    }


def test_ids(their_tokenizer):
    ours = smollm2().tokenizer
    assert ours.vocab_size == len(their_tokenizer) == 49_152
    for text in TEXTS:
        ids = ours.encode(text, allow_special=True)
        assert ids == their_tokenizer(text, add_special_tokens=False).input_ids
        assert ours.decode(ids) == their_tokenizer.decode(ids)

    @given(st.text(st.sampled_from("01 \n'sTt中🙂²-.") | st.characters(exclude_categories=["Cs"]), max_size=30))
    @settings(derandomize=True, deadline=None, max_examples=300)
    def same(text):
        assert ours.encode(text) == their_tokenizer(text, add_special_tokens=False).input_ids

    same()


def test_scores_and_what_is_written():
    """Their reading of the file, with their undoing of the order of rows, in their Llama."""
    read = transformers.modeling_gguf_pytorch_utils.load_gguf_checkpoint
    config = transformers.LlamaConfig(**read(smollm2_file())["config"], attn_implementation="eager")
    theirs = transformers.LlamaForCausalLM(config).eval()
    weights = read(smollm2_file(), return_tensors=True, model_to_load=theirs)["tensors"]
    absent = theirs.load_state_dict(weights, strict=False)
    assert (absent.missing_keys, absent.unexpected_keys) == (["lm_head.weight"], [])
    theirs.tie_weights()

    ours, encode = smollm2().model, smollm2().tokenizer.encode
    for text in ("Call me Ishmael. Some years ago—never mind how long precisely—", "你好 12 + 30 = "):
        token_ids = torch.tensor([encode(text)])
        with torch.no_grad():
            close(ours(token_ids), theirs(token_ids).logits, 1e-4)
        written = theirs.generate(token_ids, max_new_tokens=12, do_sample=False)
        mine = generate(ours, token_ids, max_new_tokens=12, temperature=0, eos_id=config.eos_token_id)
        assert mine.tolist() == written.tolist()
