def kv_cache_bytes(
    lengths: list[int],
    num_layers: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    bytes_per_number: int,
) -> int:
    """The bytes that the KV cache of a batch takes.

    Args:
        lengths: the number of tokens that each sentence has in the cache; the cache is
            paged and holds these tokens only, without padding.
        num_layers: L.
        num_heads: H, the number of query heads.
        num_kv_heads: H_kv, the number of sets of keys and values; divides H.
        head_dim: d_k, the width of a head, of keys and of values.
        bytes_per_number: 1, 2, 4 or 8.

    Returns:
        A whole number; 0 for an empty batch.
    """
    of_a_token = 2 * num_layers * num_kv_heads * head_dim
    return of_a_token * bytes_per_number * sum(lengths)
