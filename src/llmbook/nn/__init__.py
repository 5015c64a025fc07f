"""Blocks: attention, masks, norms, feed-forward networks, positions."""

from llmbook.nn.alibi import alibi_bias, alibi_slopes
from llmbook.nn.batch_norm import BatchNorm, batch_norm
from llmbook.nn.block import TransformerBlock
from llmbook.nn.convolution import CausalConv1d, receptive_field
from llmbook.nn.dot_product import scaled_dot_product_attention
from llmbook.nn.feed_forward import FeedForward, SwiGLU
from llmbook.nn.flash import FlashOutput, flash_attention, flash_forward
from llmbook.nn.kv_cache import KVCache, LayerCache, LayerState
from llmbook.nn.latent import LatentAttention
from llmbook.nn.learned_position import LearnedPositions
from llmbook.nn.linear_attention import (
    LinearAttention,
    LinearState,
    elu_plus_one,
    linear_attention,
    linear_step,
)
from llmbook.nn.linformer import LinformerAttention, linformer_attention
from llmbook.nn.masks import causal_mask, padding_mask, sliding_window_mask
from llmbook.nn.multi_head import KeyValue, MultiHeadAttention
from llmbook.nn.norms import LayerNorm, RMSNorm, layer_norm, rms_norm
from llmbook.nn.nystrom import nystrom_attention
from llmbook.nn.positions import NoPositions, Positions
from llmbook.nn.precision import at_least_float32
from llmbook.nn.random_features import (
    orthogonal_projections,
    performer_attention,
    positive_features,
    trigonometric_features,
)
from llmbook.nn.recurrent import LSTM, LSTMState, lstm_step
from llmbook.nn.rotary import (
    Rotary,
    RotaryScaling,
    apply_rotary,
    dynamic_scaling,
    half_split_rows,
    rotary_tables,
)
from llmbook.nn.score_functions import (
    Additive,
    CosineGain,
    Multiplicative,
    ScoredAttention,
    cosine,
    dot_product,
    scaled_dot_product,
    scored_attention,
)
from llmbook.nn.shaw_relative import ShawAttention, shaw_index
from llmbook.nn.sinusoidal import SinusoidalPositions, sinusoidal_encoding
from llmbook.nn.sparse import LocalAttention, block_sparse_attention, local_attention
from llmbook.nn.sparse_masks import (
    bigbird_layout,
    block_mask,
    dilated_mask,
    fixed_mask,
    global_mask,
    pairs,
    reachable,
    sink_mask,
    strided_mask,
)
from llmbook.nn.t5_bias import T5Bias, t5_bucket

__all__ = [
    "LSTM",
    "Additive",
    "BatchNorm",
    "CausalConv1d",
    "CosineGain",
    "FeedForward",
    "FlashOutput",
    "KVCache",
    "KeyValue",
    "LSTMState",
    "LatentAttention",
    "LayerCache",
    "LayerNorm",
    "LayerState",
    "LearnedPositions",
    "LinearAttention",
    "LinearState",
    "LinformerAttention",
    "LocalAttention",
    "MultiHeadAttention",
    "Multiplicative",
    "NoPositions",
    "Positions",
    "RMSNorm",
    "Rotary",
    "RotaryScaling",
    "ScoredAttention",
    "ShawAttention",
    "SinusoidalPositions",
    "SwiGLU",
    "T5Bias",
    "TransformerBlock",
    "alibi_bias",
    "alibi_slopes",
    "apply_rotary",
    "at_least_float32",
    "batch_norm",
    "bigbird_layout",
    "block_mask",
    "block_sparse_attention",
    "causal_mask",
    "cosine",
    "dilated_mask",
    "dot_product",
    "dynamic_scaling",
    "elu_plus_one",
    "fixed_mask",
    "flash_attention",
    "flash_forward",
    "global_mask",
    "half_split_rows",
    "layer_norm",
    "linear_attention",
    "linear_step",
    "linformer_attention",
    "local_attention",
    "lstm_step",
    "nystrom_attention",
    "orthogonal_projections",
    "padding_mask",
    "pairs",
    "performer_attention",
    "positive_features",
    "reachable",
    "receptive_field",
    "rms_norm",
    "rotary_tables",
    "scaled_dot_product",
    "scaled_dot_product_attention",
    "scored_attention",
    "shaw_index",
    "sink_mask",
    "sinusoidal_encoding",
    "sliding_window_mask",
    "strided_mask",
    "t5_bucket",
    "trigonometric_features",
]
