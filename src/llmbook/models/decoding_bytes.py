"""What a row of a batch takes in memory while a decoder writes it, from the sizes alone.

Book: §2.1.2
"""

from jaxtyping import Float
from torch import Tensor


def decoding_bytes(
    *, fixed: int, layer: int, num_layers: int, output: Float[Tensor, "vocab_size d_model"]
) -> int:
    """Bytes for `fixed` numbers, `layer` numbers in each layer, and the scores of a step.

    A layer's keys and values are copied while they grow, hence one layer more than there are.
    Scores are there four times: logits, log p, sums over the words so far, and a copy from
    which a search takes the best.

    Leaves out: what a layer computes on the way, and the weights.
    """
    numbers = fixed + (num_layers + 1) * layer + 4 * output.shape[0]
    return numbers * output.element_size()
