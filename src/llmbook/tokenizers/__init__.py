"""From text to ids and back."""

from llmbook.tokenizers.base import Tokenizer
from llmbook.tokenizers.byte_bpe import ByteBPE
from llmbook.tokenizers.characters import Characters

__all__ = ["ByteBPE", "Characters", "Tokenizer"]
