"""A head of a trained model switched off for a while, to see what it contributed.

Book: §1.2.3
"""

from collections.abc import Iterator
from contextlib import contextmanager

from llmbook.nn import MultiHeadAttention


@contextmanager
def without_head(layer: MultiHeadAttention, head: int) -> Iterator[None]:
    """Meanwhile the layer gives Σ_{i ≠ head} head_i W_i^O in place of Σ_i head_i W_i^O.

    Concat(head_1, …, head_h) W^O is that sum if W_i^O are the rows of W^O that multiply head_i
    (Vaswani et al. 2017, section 3.2.2). Those of the head are set to 0 and afterwards put back
    bit for bit, also after an exception. `nn.Linear` keeps W^O transposed: they are columns.

    A head is left out as by Michel et al. 2019, equation 1, whose ξ_h is 0. The bias stays.

    Args:
        layer: the layer in which the head is.
        head: its number among the query heads, from 0.

    Leaves out: the head's own computation, which goes on and is multiplied by 0.

    Raises:
        ValueError: the layer has no such head.
    """
    if not 0 <= head < layer.num_heads:
        raise ValueError(
            f"head is {head}; expected 0 … {layer.num_heads - 1} "
            f"of a layer with num_heads = {layer.num_heads}"
        )
    head_dim = layer.d_model // layer.num_heads
    columns = layer.output.weight.detach()[:, head * head_dim : (head + 1) * head_dim]
    kept = columns.clone()
    columns.zero_()
    try:
        yield
    finally:
        columns.copy_(kept)
