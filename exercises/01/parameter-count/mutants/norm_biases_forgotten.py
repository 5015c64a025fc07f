def parameter_count(
    vocab_size: int,
    max_len: int,
    d_model: int,
    num_heads: int,
    num_layers: int,
    d_ff: int,
    tied: bool,
) -> int:
    attention = 4 * (d_model * d_model + d_model)
    feed_forward = 2 * d_model * d_ff + d_ff + d_model
    norms = 2 * d_model
    embeddings = (vocab_size + max_len) * d_model
    output = 0 if tied else vocab_size * d_model
    return (
        embeddings + num_layers * (attention + feed_forward + norms) + d_model + output
    )
