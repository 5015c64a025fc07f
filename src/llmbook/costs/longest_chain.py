"""How many operations of a computation have to wait for each other.

Book: §1.3.1
"""

import re

from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import Node

PRODUCT = re.compile(r"(mm|mv|dot|linear|convolution)backward", re.IGNORECASE)  # of matrices
PARAMETER = "AccumulateGrad"  # where a path ends, no operation


def longest_chain(output: Float[Tensor, "..."], *, products_only: bool = True) -> int:
    """The most operations on one path of the graph that made `output`: as the program is written, they wait for each other.

    C(v) = c(v) + max C(u) over the operations u whose results v needs, with c(v) = 1 if v counts, else 0. With all operations
    counted it is the depth (span) of this program's graph, in operations, against its work, their number (Brent 1974, "The Parallel
    Evaluation of General Arithmetic Expressions"). The graph is the one that PyTorch keeps for the backward pass, so only what a
    gradient flows through is seen.

    Args:
        output: the end of the computation; its graph may be thousands of operations deep.
        products_only: count matrix products (and convolutions) alone, else every operation that PyTorch keeps.

    Raises:
        ValueError: a tensor that no operation with a gradient made.

    Leaves out: the depth inside an operation (a sum of d terms takes log₂ d steps); a fused kernel counts as one operation, and
    only if it is a product by its name.
    """
    if output.grad_fn is None:
        shape = list(output.shape)
        raise ValueError(f"the tensor of shape {shape} has no graph; expected the output of operations with a gradient")
    chain: dict[Node, int] = {}
    waiting = [output.grad_fn]
    while waiting:
        node = waiting[-1]
        needed = [before for before, _ in node.next_functions if before is not None]
        missing = [before for before in needed if before not in chain]
        if node in chain or not missing:
            waiting.pop()
            chain.setdefault(node, max((chain[before] for before in needed), default=0) + counts(node, products_only))
        else:
            waiting.extend(missing)
    return chain[output.grad_fn]


def counts(node: Node, products_only: bool) -> bool:
    """Whether an operation is one of those counted."""
    return bool(PRODUCT.search(node.name())) if products_only else PARAMETER not in node.name()
