"""The loss of each token, and how long ago it was seen: by hand, and against torch's cross-entropy."""

import torch
from inputs import close, random_inputs
from torch.nn import functional as F

from llmbook.data import Window
from llmbook.evaluation import last_seen, token_losses


def test_how_long_ago_each_was_seen_by_hand():
    # Row a b a c b: the target after a b is a (2 back), then c (new), then b (3 back).
    window = Window(torch.tensor([[0, 1, 0, 2]]), torch.tensor([[1, 0, 2, 1]]))
    assert last_seen(window).tolist() == [[0, 2, 0, 3]]
    same = Window(torch.tensor([[5, 5, 5], [1, 2, 3]]), torch.tensor([[5, 5, 5], [2, 3, 4]]))
    assert last_seen(same).tolist() == [[1, 1, 1], [0, 0, 0]]


def test_losses_are_torchs_whatever_is_computed_at_a_time():
    logits, targets = random_inputs(5, 3, 7), torch.arange(15).view(5, 3) % 7
    window = Window(torch.arange(15).view(5, 3), targets)

    def model(ids):
        return logits[ids[:, 0] // 3]

    expected = F.cross_entropy(logits.mT, targets, reduction="none")
    for rows in (1, 2, 5, 16):
        close(token_losses(model, window, rows=rows), expected, 1e-6)
