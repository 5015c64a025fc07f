from torch import Tensor
from torch.nn import functional as F


def teacher_forcing_loss(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    scores, targets = logits, token_ids
    losses = F.cross_entropy(
        scores.reshape(-1, scores.shape[-1]), targets.reshape(-1), reduction="none"
    ).reshape(targets.shape)
    counted = targets != pad_id
    return (losses * counted).sum() / counted.sum().clamp(min=1)
