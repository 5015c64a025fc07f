from torch import Tensor


def teacher_forcing_loss(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    targets = token_ids.roll(-1, dims=1)
    losses = -logits.log_softmax(dim=-1).gather(-1, targets[..., None])[..., 0]
    counted = targets != pad_id
    return (losses * counted).sum() / counted.sum().clamp(min=1)
