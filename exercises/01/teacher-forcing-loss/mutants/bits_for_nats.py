from torch import Tensor


def teacher_forcing_loss(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    scores, targets = logits[:, :-1], token_ids[:, 1:]
    losses = -scores.log_softmax(dim=-1).gather(-1, targets[..., None])[..., 0]
    counted = targets != pad_id
    losses = losses / 0.6931471805599453
    return (losses * counted).sum() / counted.sum().clamp(min=1)
