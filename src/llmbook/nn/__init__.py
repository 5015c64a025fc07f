"""Blocks: attention, masks, norms, feed-forward networks, positions."""

from llmbook.nn.batch_norm import BatchNorm, batch_norm
from llmbook.nn.block import TransformerBlock
from llmbook.nn.convolution import CausalConv1d, receptive_field
from llmbook.nn.dot_product import scaled_dot_product_attention
from llmbook.nn.feed_forward import FeedForward
from llmbook.nn.kv_cache import KVCache, LayerCache, LayerState
from llmbook.nn.learned_position import LearnedPositions
from llmbook.nn.masks import causal_mask, padding_mask, sliding_window_mask
from llmbook.nn.multi_head import KeyValue, MultiHeadAttention
from llmbook.nn.norms import LayerNorm, RMSNorm, layer_norm, rms_norm
from llmbook.nn.positions import NoPositions, Positions
from llmbook.nn.precision import at_least_float32
from llmbook.nn.recurrent import LSTM, LSTMState, lstm_step
from llmbook.nn.rotary import Rotary, RotaryScaling, apply_rotary, rotary_tables
from llmbook.nn.sinusoidal import SinusoidalPositions, sinusoidal_encoding

__all__ = [
    "LSTM",
    "BatchNorm",
    "CausalConv1d",
    "FeedForward",
    "KVCache",
    "KeyValue",
    "LSTMState",
    "LayerCache",
    "LayerNorm",
    "LayerState",
    "LearnedPositions",
    "MultiHeadAttention",
    "NoPositions",
    "Positions",
    "RMSNorm",
    "Rotary",
    "RotaryScaling",
    "SinusoidalPositions",
    "TransformerBlock",
    "apply_rotary",
    "at_least_float32",
    "batch_norm",
    "causal_mask",
    "layer_norm",
    "lstm_step",
    "padding_mask",
    "receptive_field",
    "rms_norm",
    "rotary_tables",
    "scaled_dot_product_attention",
    "sinusoidal_encoding",
    "sliding_window_mask",
]
