"""What a layer, or a training run, takes: multiplications, steps that wait for each other, bytes; by formula and measured."""

from llmbook.costs.activation_memory import (
    ActivationMemory,
    activation_memory,
    recurrent_activation_memory,
)
from llmbook.costs.layer_cost import LayerCost, crossover, layer_cost
from llmbook.costs.longest_chain import longest_chain
from llmbook.costs.parameter_memory import ParameterMemory, num_parameters, parameter_memory
from llmbook.costs.saved_tensors import SavedTensors, saved_tensors

__all__ = [
    "ActivationMemory",
    "LayerCost",
    "ParameterMemory",
    "SavedTensors",
    "activation_memory",
    "crossover",
    "layer_cost",
    "longest_chain",
    "num_parameters",
    "parameter_memory",
    "recurrent_activation_memory",
    "saved_tensors",
]
