def parameter_count(
    vocab_size: int,
    max_len: int,
    d_model: int,
    num_heads: int,
    num_layers: int,
    d_ff: int,
    tied: bool,
) -> int:
    """The number of parameters of a decoder-only Transformer as GPT-2 is built.

    Embeddings of tokens and learned ones of positions; in each layer two layer norms
    (with gain and bias), four projections of attention and a feed-forward network of
    two linear layers, all of them with bias; a layer norm at the end; then the output
    layer to the vocabulary, which has no bias and, if `tied`, is the matrix of the
    embeddings.
    """
    attention = 4 * (d_model * d_model + d_model)
    feed_forward = 2 * d_model * d_ff + d_ff + d_model
    norms = 2 * 2 * d_model
    embeddings = (vocab_size + max_len) * d_model
    output = 0 if tied else vocab_size * d_model
    return (
        embeddings
        + num_layers * (attention + feed_forward + norms)
        + 2 * d_model
        + output
    )
