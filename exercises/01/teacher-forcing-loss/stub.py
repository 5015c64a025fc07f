from torch import Tensor


def teacher_forcing_loss(logits: Tensor, token_ids: Tensor, pad_id: int) -> Tensor:
    """The mean cross-entropy of the tokens that a decoder has to predict.

    Args:
        logits: [batch, T, vocab]; logits[:, t] was computed from token_ids[:, : t + 1].
        token_ids: [batch, T]; in each row <bos>, a sentence, <eos>, then padding.
        pad_id: the id of padding.

    Returns:
        A tensor without dimensions, in nats; 0 where there is nothing to predict. What
        follows the last token is not predicted, and neither is padding.
    """
    raise NotImplementedError
