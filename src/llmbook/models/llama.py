"""Llama: rotary positions, RMSNorm, SwiGLU, grouped queries, and no bias.

Book: §2.1.1
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from llmbook.models.decoder import Decoder, DecoderConfig
from llmbook.models.published import load_renamed
from llmbook.nn import RMSNorm, SwiGLU


@dataclass(frozen=True, kw_only=True)
class LlamaConfig(DecoderConfig):
    """Sizes of a `Llama`; the positions are rotary."""

    positions: str = field(default="rotary", init=False)
    tie_embeddings: bool = False


class Llama(Decoder):
    """The decoder of Touvron et al. 2023, section 2.2, with the grouped queries of Llama 2.

    Leaves out: attention in tiles (§2.1.2) and a cache that is allocated once.
    """

    def __init__(self, config: LlamaConfig):
        super().__init__(
            config, norm=RMSNorm, feed_forward=SwiGLU, use_bias=False, scale_embedding=False
        )

    def load_hf_state_dict(self, state_dict: Mapping[str, Tensor]) -> None:
        """Takes published weights by the names that Hugging Face's checkpoints use.

        With tied embeddings `lm_head.weight` may be absent; if it is there, it has to equal
        the embedding. Old checkpoints' tables of frequencies are passed over.

        Raises:
            ValueError: a tensor missing, unknown or misshapen, or a head that is not tied.
        """
        names = {
            "model.embed_tokens.weight": "embedding.weight",
            "model.norm.weight": "norm.weight",
        }
        for i in range(self.config.num_layers):
            for theirs, ours in LAYER.items():
                names[f"model.layers.{i}.{theirs}.weight"] = f"blocks.{i}.{ours}.weight"
        given = {
            name: tensor
            for name, tensor in state_dict.items()
            if not name.endswith("rotary_emb.inv_freq")
        }
        if not self.config.tie_embeddings:
            names["lm_head.weight"] = "output.weight"
        elif (head := given.pop("lm_head.weight", None)) is not None:
            embedding = given.get("model.embed_tokens.weight")
            if embedding is None or not head.equal(embedding):
                raise ValueError(
                    "'lm_head.weight' differs from 'model.embed_tokens.weight'; "
                    "expected tie_embeddings=False for this state dict"
                )
        load_renamed(self, given, names)


LAYER = {
    "input_layernorm": "self_attention_norm",
    "self_attn.q_proj": "self_attention.query",
    "self_attn.k_proj": "self_attention.key",
    "self_attn.v_proj": "self_attention.value",
    "self_attn.o_proj": "self_attention.output",
    "post_attention_layernorm": "feed_forward_norm",
    "mlp.gate_proj": "feed_forward.gate",
    "mlp.up_proj": "feed_forward.up",
    "mlp.down_proj": "feed_forward.down",
}
