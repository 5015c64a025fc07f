"""Whole models."""

from llmbook.models.attention_maps import attention_maps
from llmbook.models.conditioned import Conditioned
from llmbook.models.head_removal import without_head
from llmbook.models.transformer import Transformer, TransformerConfig

__all__ = ["Conditioned", "Transformer", "TransformerConfig", "attention_maps", "without_head"]
