from torch import Tensor


def multi_head_attention(
    x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor, w_o: Tensor, num_heads: int
) -> Tensor:
    batch, length, width = x.shape
    query, key, value = (
        (x @ w).view(batch, length, num_heads, width // num_heads).transpose(1, 2)
        for w in (w_q, w_k, w_v)
    )
    weights = (query @ key.mT / (width // num_heads) ** 0.5).softmax(dim=-1)
    merged = (weights @ value).transpose(1, 2).reshape(batch, length, width)
    return merged @ w_o.T
