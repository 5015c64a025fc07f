"""Multi-head latent attention: a narrow vector a token is cached, not keys and values.

Book: §2.1.2
"""

import math
from collections.abc import Callable

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmbook.checks import require_divides, require_even, require_positive
from llmbook.nn.dot_product import scaled_dot_product_attention
from llmbook.nn.kv_cache import LayerCache
from llmbook.nn.multi_head import require_inputs
from llmbook.nn.rotary import Rotary, apply_rotary


class LatentAttention(nn.Module):
    """Keys and values of all heads are made of a latent c = W^DKV x, which alone is cached.

    Head i has key [W_i^UK c; k^R] and value W_i^UV c, where k^R = RoPE(W^KR x) is shared by all
    heads, and query [W_i^UQ c^Q; RoPE(W_i^QR c^Q)], where c^Q = W^DQ x, or x itself. Positions
    have entries of their own since a turn between W^UQ and W^UK would forbid to absorb one into
    the other. Scores are divided by √(head_dim + rope_dim). The cache keeps c and k^R, turned:
    kv_rank + rope_dim numbers a token, instead of 2 · num_heads · head_dim.

    DeepSeek-AI 2024 (DeepSeek-V2), section 2.1, equations 9-19; their d_c is our kv_rank, d_c'
    our query_rank, d_h our head_dim, d_h^R our rope_dim.

    Args:
        d_model: width of input and output.
        num_heads: heads; they divide d_model unless head_dim is given.
        kv_rank: width of the latent.
        rope_dim: width of the part that is turned, even.
        head_dim: width of a head's value and of the part that is not turned.
        query_rank: width of the latent that queries are made of (default: made of x).
        norm: maps a width to a module on latents; the released models have `RMSNorm`, the
            equations none.

    Leaves out: the released models' other widths for values than for keys, and their further
    scale of scores where YaRN lengthens the context; dropout.

    Raises:
        ValueError: a size < 1, an odd rope_dim, heads that do not divide, inputs of another
            width, a mask, tables or positions that do not fit.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        kv_rank: int,
        rope_dim: int,
        head_dim: int | None = None,
        query_rank: int | None = None,
        norm: Callable[[int], nn.Module] = nn.Identity,
    ):
        super().__init__()
        require_positive(d_model=d_model, num_heads=num_heads, kv_rank=kv_rank)
        require_even(rope_dim=rope_dim)
        if head_dim is None:
            require_divides(num_heads=num_heads, d_model=d_model)
            head_dim = d_model // num_heads
        query_width = d_model if query_rank is None else query_rank
        require_positive(head_dim=head_dim, query_rank=query_width)
        self.d_model, self.num_heads = d_model, num_heads
        self.head_dim, self.rope_dim = head_dim, rope_dim

        def linear(inputs: int, outputs: int) -> nn.Linear:
            return nn.Linear(inputs, outputs, bias=False)

        self.kv_down = nn.Sequential(linear(d_model, kv_rank), norm(kv_rank))
        self.key_up = linear(kv_rank, num_heads * head_dim)
        self.value_up = linear(kv_rank, num_heads * head_dim)
        self.key_rotary = linear(d_model, rope_dim)
        self.query_down: nn.Module = nn.Identity()
        if query_rank is not None:
            self.query_down = nn.Sequential(linear(d_model, query_rank), norm(query_rank))
        self.query_up = linear(query_width, num_heads * head_dim)
        self.query_rotary = linear(query_width, num_heads * rope_dim)
        self.output = linear(num_heads * head_dim, d_model)

    def forward(
        self,
        x: Float[Tensor, "batch query d_model"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        rotary: Rotary | None = None,
        positions: Int[Tensor, "... query"] | None = None,
        cache: LayerCache | None = None,
        absorb: bool = False,
    ) -> Float[Tensor, "batch query d_model"]:
        """x attends to itself and what is cached; mask as in `scaled_dot_product_attention`.

        Args:
            rotary: tables of width rope_dim; without, nothing is turned.
            positions: as in `apply_rotary`; they go on from the cache's length unless given.
            cache: x then holds the new positions only. As keys it keeps the latents
                [batch, 1, length, kv_rank], as values k^R [batch, 1, length, rope_dim].
            absorb: attend to the latents themselves. The same up to rounding; better where
                queries are few and keys many, as in generation.
        """
        query, query_rotary, latent, key_rotary = self.project(x, rotary, positions, cache)
        attend = self.attend_to_latents if absorb else self.attend_to_keys
        heads = attend(query, query_rotary, latent, key_rotary, mask)
        return self.output(rearrange(heads, "b h t k -> b t (h k)"))

    def project(
        self,
        x: Tensor,
        rotary: Rotary | None,
        positions: Tensor | None,
        cache: LayerCache | None,
    ) -> tuple[
        Float[Tensor, "b h t k"],
        Float[Tensor, "b h t rope_dim"],
        Float[Tensor, "b 1 s kv_rank"],
        Float[Tensor, "b 1 s rope_dim"],
    ]:
        """Queries by head in two parts; latents and shared keys, the cached ones first."""
        require_inputs(x, None, self.d_model, cache=cache, rotary=rotary, positions=positions)
        source = self.query_down(x)
        query, query_rotary = (
            rearrange(up(source), "b t (h k) -> b h t k", h=self.num_heads)
            for up in (self.query_up, self.query_rotary)
        )
        latent, key_rotary = self.kv_down(x)[:, None], self.key_rotary(x)[:, None]
        if rotary is not None:
            if positions is None:
                seen = 0 if cache is None else cache.length
                positions = torch.arange(seen, seen + x.shape[1], device=x.device)
            query_rotary = apply_rotary(query_rotary, rotary, positions=positions)
            key_rotary = apply_rotary(key_rotary, rotary, positions=positions)
        if cache is not None:
            latent, key_rotary = cache.extend(latent, key_rotary)
        return query, query_rotary, latent, key_rotary

    def attend_to_keys(
        self,
        query: Float[Tensor, "b h t k"],
        query_rotary: Float[Tensor, "b h t rope_dim"],
        latent: Float[Tensor, "b 1 s kv_rank"],
        key_rotary: Float[Tensor, "b 1 s rope_dim"],
        mask: Tensor | None,
    ) -> Float[Tensor, "b h t k"]:
        """Every latent becomes a key and a value of every head: equations 10, 11, 16-18."""
        key, value = (
            rearrange(up(latent), "b 1 s (h k) -> b h s k", h=self.num_heads)
            for up in (self.key_up, self.value_up)
        )
        key_rotary = key_rotary.expand(-1, self.num_heads, -1, -1)
        return scaled_dot_product_attention(
            torch.cat([query, query_rotary], dim=-1),
            torch.cat([key, key_rotary], dim=-1),
            value,
            mask=mask,
        )

    def attend_to_latents(
        self,
        query: Float[Tensor, "b h t k"],
        query_rotary: Float[Tensor, "b h t rope_dim"],
        latent: Float[Tensor, "b 1 s kv_rank"],
        key_rotary: Float[Tensor, "b 1 s rope_dim"],
        mask: Tensor | None,
    ) -> Float[Tensor, "b h t k"]:
        """qᵀ (W^UK c) = (W^UKᵀ q)ᵀ c and Σ a (W^UV c) = W^UV (Σ a c): no key, no value is made.

        The latent is the one key of all heads, and the value too. Its width is not that of a
        head, so the query makes up for the scale.

        Leaves out: a kernel that reads each latent once for all heads.
        """
        key_up, value_up = (
            rearrange(up.weight, "(h k) c -> h k c", h=self.num_heads)
            for up in (self.key_up, self.value_up)
        )
        wide_query = torch.cat([query @ key_up, query_rotary], dim=-1)
        shared_key = torch.cat([latent, key_rotary], dim=-1)
        scale = math.sqrt(shared_key.shape[-1] / (self.head_dim + self.rope_dim))
        shared_key, shared_value = (
            shared.expand(-1, self.num_heads, -1, -1) for shared in (shared_key, latent)
        )
        heads = scaled_dot_product_attention(
            scale * wide_query, shared_key, shared_value, mask=mask
        )
        return heads @ value_up.mT
