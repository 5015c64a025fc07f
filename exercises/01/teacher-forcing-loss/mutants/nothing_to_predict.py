from torch import Tensor
from torch.nn import functional as F


def teacher_forcing_loss(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    scores, targets = logits[:, :-1], token_ids[:, 1:]
    losses = F.cross_entropy(
        scores.reshape(-1, scores.shape[-1]), targets.reshape(-1), reduction="none"
    ).reshape(targets.shape)
    return losses[targets != pad_id].mean()
