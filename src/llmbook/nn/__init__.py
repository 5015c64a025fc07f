"""Blocks: attention, masks, norms, feed-forward networks, positions."""

from llmbook.nn.block import TransformerBlock
from llmbook.nn.dot_product import scaled_dot_product_attention
from llmbook.nn.feed_forward import FeedForward
from llmbook.nn.kv_cache import KVCache, LayerCache
from llmbook.nn.learned_position import LearnedPositions
from llmbook.nn.masks import causal_mask, padding_mask, sliding_window_mask
from llmbook.nn.multi_head import KeyValue, MultiHeadAttention
from llmbook.nn.norms import LayerNorm, RMSNorm, layer_norm, rms_norm
from llmbook.nn.sinusoidal import sinusoidal_encoding

__all__ = [
    "FeedForward",
    "KVCache",
    "KeyValue",
    "LayerCache",
    "LayerNorm",
    "LearnedPositions",
    "MultiHeadAttention",
    "RMSNorm",
    "TransformerBlock",
    "causal_mask",
    "layer_norm",
    "padding_mask",
    "rms_norm",
    "scaled_dot_product_attention",
    "sinusoidal_encoding",
    "sliding_window_mask",
]
