"""How many parameters a language model has, and how many bytes training needs for them.

Book: §1.3.2
"""

from dataclasses import dataclass

from llmbook.checks import require_positive
from llmbook.costs.sizes import require_bytes


@dataclass(frozen=True, kw_only=True)
class ParameterMemory:
    """Bytes of the weights, of their gradients, and of AdamW's state."""

    parameters: int
    gradients: int
    optimizer: int

    @property
    def total(self) -> int:
        """All three."""
        return self.parameters + self.gradients + self.optimizer


def num_parameters(*, d_model: int, num_layers: int, vocab_size: int) -> int:
    """V d + L (12 d² + 13 d) + 2d: what a pre-norm `SequenceModel` with attention learns.

    V d is the embedding, which is the output matrix too. A layer has 4d² weights in its attention and 8d² in its feed-forward network
    (d_ff = 4d), 4d and 5d biases, and two norms of 2d; one more norm, 2d, comes at the end. Heads change nothing.

    Raises:
        ValueError: a size below 1.
    """
    require_positive(d_model=d_model, num_layers=num_layers, vocab_size=vocab_size)
    return vocab_size * d_model + num_layers * (12 * d_model**2 + 13 * d_model) + 2 * d_model


def parameter_memory(num_params: int, *, bytes_per_value: int = 4) -> ParameterMemory:
    """N weights, N gradients, and AdamW's two moments, which are float32: 16 bytes a parameter.

    With 4 bytes a value these are 4 + 4 + 8. With 2 they are 2 + 2 + 12, for mixed precision keeps a float32 copy of the weights
    as well, since many a small update would vanish in 16 bits (Micikevicius et al. 2018, section 3.1): no byte is saved here.

    Raises:
        ValueError: num_params below 0, bytes_per_value other than 2 or 4.

    Leaves out: a counter of steps a tensor; sharing all this among machines (ZeRO).
    """
    if num_params < 0:
        raise ValueError(f"num_params is {num_params}; expected at least 0")
    require_bytes(bytes_per_value)
    weights = bytes_per_value * num_params
    copy = 4 * num_params if bytes_per_value == 2 else 0
    return ParameterMemory(parameters=weights, gradients=weights, optimizer=8 * num_params + copy)
