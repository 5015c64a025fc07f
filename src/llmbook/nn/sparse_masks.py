"""Patterns of sparse attention as boolean masks, True = may attend; `|` and `&` combine them.

Book: §2.3.2
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from llmbook.checks import require_at_least, require_indices, require_positive
from llmbook.nn.masks import causal_mask, sliding_window_mask


def dilated_mask(
    length: int, window: int, dilation: int, *, causal: bool = True
) -> Bool[Tensor, "length length"]:
    """Position i sees i, i − d, i − 2d, …, `window` in all, itself counted.

    d is the dilation; without `causal`, i + d, i + 2d, … are seen as well, `window − 1` to each
    side. Beltagy et al. 2020 (Longformer), section 3.1.

    Raises:
        ValueError: a negative length, `window` < 1 or `dilation` < 1.
    """
    require_at_least(0, length=length)
    require_positive(window=window, dilation=dilation)
    near = sliding_window_mask(length, window * dilation, causal=causal)
    return near & (distances(length) % dilation == 0)


def strided_mask(length: int, stride: int) -> Bool[Tensor, "length length"]:
    """Position i sees its last `stride` positions, and j <= i where (i − j) mod stride = 0.

    The union of the two heads of Child et al. 2019 (Sparse Transformer), section 4.3, "strided
    attention"; their l is our stride. In two layers all of the past is reached.

    Raises:
        ValueError: a negative length, or `stride` < 1.
    """
    require_at_least(0, length=length)
    require_positive(stride=stride)
    column = distances(length) % stride == 0
    return sliding_window_mask(length, stride) | (column & causal_mask(length))


def fixed_mask(length: int, stride: int) -> Bool[Tensor, "length length"]:
    """Position i sees j <= i in its own block of `stride`, and the last of each block before.

    ⌊j / l⌋ = ⌊i / l⌋, or j mod l = l − 1. The union of the two heads of Child et al. 2019,
    section 4.3, "fixed attention"; their l is our stride, and their c, how many positions at
    the end of a block sum it up, is 1.

    Raises:
        ValueError: a negative length, or `stride` < 1.
    """
    require_at_least(0, length=length)
    require_positive(stride=stride)
    position = torch.arange(length)
    block = position // stride
    same_block, last = block[:, None] == block, position % stride == stride - 1
    return (same_block | last) & causal_mask(length)


def global_mask(
    length: int, global_positions: Sequence[int], *, causal: bool
) -> Bool[Tensor, "length length"]:
    """These positions see all and are seen by all; with `causal`, only j <= i.

    The others see nothing else, not even themselves: meant to be joined to a window, as in
    Beltagy et al. 2020, section 3.1.

    Raises:
        ValueError: a negative length, or a position outside 0 … length − 1.
    """
    require_at_least(0, length=length)
    positions = torch.tensor(list(global_positions), dtype=torch.long)
    require_indices(positions, "global_positions", "position", length=length)
    is_global = torch.zeros(length, dtype=torch.bool)
    is_global[positions] = True
    mask = is_global[:, None] | is_global
    return mask & causal_mask(length) if causal else mask


def sink_mask(length: int, window: int, num_sinks: int) -> Bool[Tensor, "length length"]:
    """A causal window, and the first `num_sinks` positions for all that come after them.

    Xiao et al. 2024 (StreamingLLM), section 3.2.

    Raises:
        ValueError: a negative length or number of sinks, or `window` < 1.
    """
    require_at_least(0, length=length, num_sinks=num_sinks)
    sinks = causal_mask(length) & (torch.arange(length) < num_sinks)
    return sliding_window_mask(length, window) | sinks


def block_mask(
    layout: Bool[Tensor, "blocks blocks"], length: int, block_size: int, *, causal: bool
) -> Bool[Tensor, "length length"]:
    """Position i sees j where layout[⌊i / b⌋, ⌊j / b⌋], b the block size; causal: only j <= i.

    Raises:
        ValueError: a layout that is not boolean and of ⌈length / block_size⌉ blocks squared.
    """
    require_at_least(0, length=length)
    require_layout(layout, length, length, block_size)
    block = torch.arange(length, device=layout.device) // block_size
    mask = layout[block[:, None], block]
    return mask & causal_mask(length).to(layout.device) if causal else mask


def bigbird_layout(
    num_blocks: int,
    *,
    window: int,
    num_random: int,
    num_global: int,
    generator: torch.Generator,
) -> Bool[Tensor, "num_blocks num_blocks"]:
    """A window, the first blocks as global ones, and random blocks for each row.

    Zaheer et al. 2020 (BigBird), section 2; their w, r and g are our `window`, `num_random`
    and `num_global`, in blocks. `window` is the whole width, half of it to each side and the
    block itself in the middle, so it is odd; it is cut off at the ends. Random blocks are
    drawn from those not yet seen: `num_random` of them, or as many as there are.

    Raises:
        ValueError: an even window, sizes that are too small, more global blocks than blocks.
    """
    require_positive(num_blocks=num_blocks, window=window)
    require_at_least(0, num_random=num_random, num_global=num_global)
    if window % 2 == 0:
        raise ValueError(f"window is {window}; expected an odd number of blocks")
    near = sliding_window_mask(num_blocks, window // 2 + 1, causal=False)
    layout = near | global_mask(num_blocks, range(num_global), causal=False)
    chance = torch.rand(num_blocks, num_blocks, generator=generator).masked_fill(layout, -1)
    chosen = chance.topk(min(num_random, num_blocks), dim=1).indices
    return layout.scatter(1, chosen, True)


def reachable(
    mask: Bool[Tensor, "length length"], num_layers: int
) -> Bool[Tensor, "length length"]:
    """Whether output i depends on input j after so many layers: (M ∨ I)^L over booleans.

    M is the mask, I stands for the residual connection, L is `num_layers`. O(L · length³).

    Raises:
        ValueError: a mask that is not boolean and square, or a negative number of layers.
    """
    require_at_least(0, num_layers=num_layers)
    if mask.ndim != 2 or mask.shape[0] != mask.shape[1] or mask.dtype != torch.bool:
        raise ValueError(
            f"the mask is {mask.dtype} of shape {list(mask.shape)}; expected torch.bool, square"
        )
    itself = torch.eye(len(mask), dtype=torch.bool, device=mask.device)
    one_layer, reached = (mask | itself).float(), itself
    for _ in range(num_layers):
        reached = reached.float() @ one_layer > 0
    return reached


def pairs(mask: Bool[Tensor, "query key"]) -> int:
    """How many pairs of a query and a key may attend: what attention costs under this mask."""
    return int(mask.sum())


def distances(length: int) -> Int[Tensor, "length length"]:
    """i − j, from row i back to column j."""
    position = torch.arange(length)
    return position[:, None] - position


def require_layout(layout: Tensor, query_len: int, key_len: int, block_size: int) -> None:
    """Raises ValueError unless the layout is boolean, with one row or column for each block."""
    require_positive(block_size=block_size)
    blocks = [-(-query_len // block_size), -(-key_len // block_size)]
    if layout.dtype != torch.bool or list(layout.shape) != blocks:
        raise ValueError(
            f"the layout is {layout.dtype} of shape {list(layout.shape)}; expected torch.bool "
            f"of shape {blocks}: lengths {query_len} and {key_len} in blocks of {block_size}"
        )
