"""How a model's weights begin.

Book: §1.2.1
"""

from torch import nn

from llmbook.nn import LSTM


def initialize(model: nn.Module) -> None:
    """Matrices from Xavier's uniform distribution, biases 0, embeddings from N(0, 1/d_model).

    With these embeddings, logits start with variance 1. LSTMs have a beginning of their own.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)
    for module in model.modules():
        if isinstance(module, LSTM):
            module.reset()
