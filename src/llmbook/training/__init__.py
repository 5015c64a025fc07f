"""From a model to a trained model."""

from llmbook.training.activation_memory import (
    ActivationMemory,
    activation_memory,
    recurrent_activation_memory,
)
from llmbook.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from llmbook.training.loop import Checkpoints, History, fit
from llmbook.training.losses import MeanLoss, cross_entropy, teacher_forced, token_loss
from llmbook.training.parameter_memory import ParameterMemory, num_parameters, parameter_memory
from llmbook.training.saved_tensors import SavedTensors, saved_tensors
from llmbook.training.schedules import inverse_sqrt, warmup_cosine

__all__ = [
    "ActivationMemory",
    "Checkpoint",
    "Checkpoints",
    "History",
    "MeanLoss",
    "ParameterMemory",
    "SavedTensors",
    "activation_memory",
    "cross_entropy",
    "fit",
    "inverse_sqrt",
    "load_checkpoint",
    "num_parameters",
    "parameter_memory",
    "recurrent_activation_memory",
    "save_checkpoint",
    "saved_tensors",
    "teacher_forced",
    "token_loss",
    "warmup_cosine",
]
