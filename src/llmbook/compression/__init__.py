"""Weights in fewer bits."""

from llmbook.compression.gguf import GGUF, read_gguf
from llmbook.compression.smollm2 import PretrainedLlama, llama_of, smollm2, tokenizer_of

__all__ = ["GGUF", "PretrainedLlama", "llama_of", "read_gguf", "smollm2", "tokenizer_of"]
