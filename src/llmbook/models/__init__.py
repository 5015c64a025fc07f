"""Whole models."""

from llmbook.models.attention_maps import attention_maps
from llmbook.models.conditioned import Conditioned
from llmbook.models.decoder import Decoder, DecoderConfig
from llmbook.models.head_removal import without_head
from llmbook.models.initialization import initialize
from llmbook.models.inputs import positions_of
from llmbook.models.llama import Llama, LlamaConfig
from llmbook.models.seq2seq import Seq2Seq, Seq2SeqConfig
from llmbook.models.sequence_model import SequenceModel, SequenceModelConfig
from llmbook.models.transformer import Transformer, TransformerConfig

__all__ = [
    "Conditioned",
    "Decoder",
    "DecoderConfig",
    "Llama",
    "LlamaConfig",
    "Seq2Seq",
    "Seq2SeqConfig",
    "SequenceModel",
    "SequenceModelConfig",
    "Transformer",
    "TransformerConfig",
    "attention_maps",
    "initialize",
    "positions_of",
    "without_head",
]
