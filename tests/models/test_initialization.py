"""How weights begin: variances, biases, and LSTMs, which keep their own beginning."""

import torch
from torch import nn

from llmbook.models import initialize
from llmbook.nn import LSTM, LayerNorm


def test_each_kind_of_weight():
    torch.manual_seed(0)
    model = nn.ModuleList([nn.Linear(300, 500), nn.Embedding(1000, 64), LayerNorm(5), nn.Linear(4, 4, bias=False)])
    nn.init.ones_(model[0].bias)
    initialize(model)
    linear, embedding, norm, _ = model
    bound = (6 / 800) ** 0.5
    assert 0.99 * bound < linear.weight.abs().max() <= bound
    torch.testing.assert_close(linear.weight.std().item(), bound / 3**0.5, rtol=0.01, atol=0)
    assert (linear.bias == 0).all()
    torch.testing.assert_close(embedding.weight.std().item(), 1 / 8, rtol=0.02, atol=0)
    assert (norm.weight == 1).all()


def test_an_lstm_keeps_its_own_beginning():
    torch.manual_seed(0)
    model = nn.Sequential(LSTM(6, 4))
    initialize(model)
    lstm = model[0]
    assert lstm.input.bias.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8
    for square in lstm.recurrent.weight.chunk(4):
        torch.testing.assert_close(square @ square.T, torch.eye(4), atol=1e-5, rtol=0)


def test_the_global_generator_alone_decides():
    models = []
    for _ in range(2):
        torch.manual_seed(3)
        models.append(nn.Sequential(nn.Linear(3, 4), LSTM(4, 5)))
        initialize(models[-1])
    for a, b in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(a, b)
