def kv_cache_bytes(
    lengths: list[int],
    num_layers: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    bytes_per_number: int,
) -> int:
    of_a_token = 2 * num_layers * num_kv_heads * head_dim
    return of_a_token * bytes_per_number * max(lengths, default=0)
