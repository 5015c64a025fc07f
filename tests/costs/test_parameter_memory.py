"""Parameters and what training keeps for each, against a model and its optimizer."""

import pytest
import torch

from llmbook.costs import ParameterMemory, num_parameters, parameter_memory
from llmbook.models.sequence_model import SequenceModel, SequenceModelConfig
from llmbook.training import cross_entropy


def bytes_of(tensors):
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@pytest.mark.parametrize(("width", "heads", "layers", "vocab_size"), [(8, 1, 1, 5), (24, 3, 2, 101), (128, 4, 4, 1000)])
def test_the_formula_is_the_models_own_count(width, heads, layers, vocab_size):
    config = SequenceModelConfig(
        vocab_size=vocab_size, mixer="attention", d_model=width, num_heads=heads, num_layers=layers
    )
    counted = sum(parameter.numel() for parameter in SequenceModel(config).parameters())
    assert num_parameters(d_model=width, num_layers=layers, vocab_size=vocab_size) == counted


def test_after_a_step_there_is_what_the_formula_says():
    torch.manual_seed(0)
    model = SequenceModel(SequenceModelConfig(vocab_size=20, mixer="attention", d_model=16, num_layers=2))
    optimizer = torch.optim.AdamW(model.parameters())
    cross_entropy(model(torch.randint(20, (2, 5))), torch.randint(20, (2, 5))).backward()
    optimizer.step()
    parameters = list(model.parameters())
    moments = [tensor for state in optimizer.state.values() for tensor in state.values() if tensor.ndim]
    assert parameter_memory(num_parameters(d_model=16, num_layers=2, vocab_size=20)) == ParameterMemory(
        parameters=bytes_of(parameters),
        gradients=bytes_of(parameter.grad for parameter in parameters),
        optimizer=bytes_of(moments),
    )


def test_mixed_precision_only_moves_the_bytes():
    single, mixed = parameter_memory(1000), parameter_memory(1000, bytes_per_value=2)
    assert single == ParameterMemory(parameters=4000, gradients=4000, optimizer=8000)
    assert mixed == ParameterMemory(parameters=2000, gradients=2000, optimizer=12000)
    assert single.total == mixed.total == 16_000
    assert parameter_memory(0).total == 0


@pytest.mark.messages
def test_mistakes_are_named():
    with pytest.raises(ValueError, match="d_model is 0; expected at least 1"):
        num_parameters(d_model=0, num_layers=1, vocab_size=1)
    with pytest.raises(ValueError, match="num_params is -1"):
        parameter_memory(-1)
    with pytest.raises(ValueError, match="bytes_per_value is 8; expected 4"):
        parameter_memory(1, bytes_per_value=8)
