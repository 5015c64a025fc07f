"""How many bytes of intermediate results (activations) training keeps, by formula.

Book: §1.3.2
"""

from dataclasses import asdict, dataclass

from llmbook.checks import require_positive
from llmbook.costs.sizes import require_bytes


@dataclass(frozen=True, kw_only=True)
class ActivationMemory:
    """Bytes by term; what a model doesn't have is 0."""

    norms: int
    projections: int = 0
    scores: int = 0
    states: int = 0
    feed_forward: int
    logits: int

    @property
    def total(self) -> int:
        """All terms."""
        return sum(asdict(self).values())

    @property
    def quadratic(self) -> int:
        """What grows with the square of the length: the scores."""
        return self.scores

    @property
    def linear(self) -> int:
        """What grows with the length: all the rest."""
        return self.total - self.quadratic


def activation_memory(
    *,
    batch_size: int,
    seq_len: int,
    d_model: int,
    num_heads: int,
    num_layers: int,
    vocab_size: int,
    d_ff: int | None = None,
    bytes_per_value: int = 4,
) -> ActivationMemory:
    """What a pre-norm `SequenceModel` with attention keeps for the backward pass of `cross_entropy`.

    B sequences of n tokens, width d, H heads, L layers, vocabulary V, feed-forward width d_ff, b bytes a value:

    - norms: (2L + 1) · B n (4 (3d + 1) + d b). A norm keeps x − mean twice (for the variance and for the quotient), the quotient, which the
      weight multiplies, and one root a token, all in float32; what it puts out is kept by the layers that it feeds, and counted here.
    - projections: L · B n (4 · 2d + 2d b + 1). Queries and keys in float32, values, the heads' outputs; and one byte a token that says
      whether it sees anything.
    - scores: L · B n² H (4 + c). The softmax's output in float32, and where b is 2 the same once more in bfloat16 (c = 2, else 0), which
      multiplies the values. The only term with n².
    - feed_forward: L · B n d_ff b. The relu's output.
    - logits: B n (4V + 4 + 9). The logits and their logsumexp (float32 whatever b is), the target (8) and whether it counts (1).

    Nothing of the residual stream is kept: the derivative of a sum needs neither summand, and a norm keeps x − mean in place of x.

    Args:
        d_ff: 4 · d_model unless given.
        bytes_per_value: 4 for float32, 2 for bfloat16.

    Raises:
        ValueError: a size below 1, heads that do not divide d_model, bytes_per_value other than 2 or 4.

    Leaves out: the token ids (they are the batch), dropout's masks, what a fused attention (§2.1.2) or checkpointing save, and all
    that `saved_tensors` leaves out.
    """
    d_ff = 4 * d_model if d_ff is None else d_ff
    require_positive(batch_size=batch_size, seq_len=seq_len, d_model=d_model, num_heads=num_heads)
    require_positive(num_layers=num_layers, vocab_size=vocab_size, d_ff=d_ff)
    require_bytes(bytes_per_value)
    if d_model % num_heads:
        raise ValueError(f"num_heads = {num_heads} does not divide d_model = {d_model}")
    tokens, pairs = batch_size * seq_len, batch_size * seq_len**2
    return ActivationMemory(
        norms=norm_bytes(tokens, d_model, num_layers, bytes_per_value),
        projections=num_layers * tokens * (8 * d_model + 2 * d_model * bytes_per_value + 1),
        scores=num_layers * pairs * num_heads * (4 if bytes_per_value == 4 else 6),
        feed_forward=num_layers * tokens * d_ff * bytes_per_value,
        logits=logit_bytes(tokens, vocab_size),
    )


def recurrent_activation_memory(
    *,
    batch_size: int,
    seq_len: int,
    d_model: int,
    num_layers: int,
    vocab_size: int,
    d_ff: int | None = None,
    bytes_per_value: int = 4,
) -> ActivationMemory:
    """The same for a `SequenceModel` with recurrence: no term has n².

    Norms, feed_forward and logits are those of `activation_memory`; in place of projections and scores there are

    - states: L · B (7n − 1) d b. A step keeps three gates, the new content, tanh of the cell (5d), and hidden state and cell from
      which it started (2d); at the first step these two are the same zeros.

    Args:
        d_ff: 2 · d_model unless given: with the LSTM's 8d² weights a layer has 12d², as with attention.
        bytes_per_value: 4 for float32, 2 for bfloat16.

    Raises:
        ValueError: a size below 1, bytes_per_value other than 2 or 4.
    """
    d_ff = 2 * d_model if d_ff is None else d_ff
    require_positive(batch_size=batch_size, seq_len=seq_len, d_model=d_model)
    require_positive(num_layers=num_layers, vocab_size=vocab_size, d_ff=d_ff)
    require_bytes(bytes_per_value)
    tokens = batch_size * seq_len
    return ActivationMemory(
        norms=norm_bytes(tokens, d_model, num_layers, bytes_per_value),
        states=num_layers * batch_size * (7 * seq_len - 1) * d_model * bytes_per_value,
        feed_forward=num_layers * tokens * d_ff * bytes_per_value,
        logits=logit_bytes(tokens, vocab_size),
    )


def norm_bytes(tokens: int, d_model: int, num_layers: int, bytes_per_value: int) -> int:
    """(2L + 1) · B n (4 (3d + 1) + d b): two norms a layer and one at the end."""
    return (2 * num_layers + 1) * tokens * (4 * (3 * d_model + 1) + d_model * bytes_per_value)


def logit_bytes(tokens: int, vocab_size: int) -> int:
    """B n (4V + 4 + 9): logits, logsumexp, target, whether it counts."""
    return tokens * (4 * vocab_size + 4 + 9)
