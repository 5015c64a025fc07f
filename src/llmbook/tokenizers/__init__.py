"""From text to ids and back."""

from llmbook.tokenizers.base import Tokenizer
from llmbook.tokenizers.byte_bpe import ByteBPE
from llmbook.tokenizers.characters import Characters
from llmbook.tokenizers.plain_bpe import encode_bpe, train_bpe

__all__ = ["ByteBPE", "Characters", "Tokenizer", "encode_bpe", "train_bpe"]
