"""What it costs to let the tokens of a sequence learn of each other, in three ways.

Book: §1.1.2
"""

from typing import NamedTuple

from llmbook.checks import require_positive
from llmbook.models.sequence_model import MIXERS
from llmbook.nn import receptive_field


class LayerCost(NamedTuple):
    """What one layer's mixer does for one sequence."""

    multiplications: int
    sequential_steps: int
    path_length: int


def layer_cost(mixer: str, *, seq_len: int, d_model: int, kernel_size: int = 3) -> LayerCost:
    """Table 1 of Vaswani et al. 2017, without the O: the mixers of `SequenceModel` for n tokens of width d.

    | mixer | multiplications | sequential steps | path length |
    |---|---|---|---|
    | attention | 4 n d² + 2 n² d | 1 | 1 |
    | recurrence | 8 n d² | n | n |
    | convolution | 2 k n d² | 1 | least L ≥ 1 with 1 + (k − 1)(2^L − 1) ≥ n |

    Multiplications are those of the matrix products, each with its addition. Attention: four projections, scores, weighted sum;
    that half of the scores are masked saves nothing. Recurrence: four gates from input and state (an LSTM). Convolution: 2 d
    outputs from k d inputs, half of them gates. A sequential step is one in which a token waits for the one before it, plus the
    first; attention's products (query or key, scores, weighted sum, output) are a chain of four however long the sequence is,
    each over all tokens at once, and together are one step. The path is what lies between the first token and the last: steps in
    a recurrence, layers in the others, where the convolution's dilation doubles from layer to layer (1, 2, 4, …).

    Args:
        mixer: "attention", "recurrence" or "convolution".
        seq_len: n.
        d_model: d.
        kernel_size: k; only the convolution has one.

    Leaves out: softmax, gates, biases and the rest that grows as n d or, in attention, as heads · n²; the feed-forward network.

    Raises:
        ValueError: an unknown mixer, a length or width below 1, a kernel below 2 (which would see no other token).
    """
    require_mixer(mixer, MIXERS, d_model, kernel_size)
    require_positive(seq_len=seq_len)
    n, d, k = seq_len, d_model, kernel_size
    if mixer == "attention":
        return LayerCost(4 * n * d**2 + 2 * n**2 * d, 1, 1)
    if mixer == "recurrence":
        return LayerCost(8 * n * d**2, n, n)
    layers = 1
    while receptive_field(k, layers) < n:
        layers += 1
    return LayerCost(2 * k * n * d**2, 1, layers)


def crossover(d_model: int, *, against: str, kernel_size: int = 3) -> int:
    """The length at which attention costs as many multiplications as the other mixer; beyond it, attention costs more.

    4 n d² + 2 n² d = 8 n d² at n = 2 d, and = 2 k n d² at n = (k − 2) d: for k = 2 attention costs more at every length.

    Raises:
        ValueError: against anything but "recurrence" or "convolution", a width below 1, a kernel below 2.
    """
    require_mixer(against, MIXERS[1:], d_model, kernel_size)
    return 2 * d_model if against == "recurrence" else (kernel_size - 2) * d_model


def require_mixer(mixer: str, known: tuple[str, ...], d_model: int, kernel_size: int) -> None:
    """Raises ValueError unless the mixer is a known one and the sizes are those of a layer that mixes."""
    if mixer not in known:
        raise ValueError(f"the mixer is {mixer!r}; expected one of {known}")
    if d_model < 1 or kernel_size < 2:
        raise ValueError(f"d_model is {d_model}, kernel_size {kernel_size}; expected d_model >= 1 and kernel_size >= 2")
