"""From a model to a trained model."""

from llmbook.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from llmbook.training.loop import Checkpoints, DivergedError, History, fit
from llmbook.training.losses import MeanLoss, cross_entropy, teacher_forced, token_loss
from llmbook.training.schedules import inverse_sqrt, warmup_cosine

__all__ = [
    "Checkpoint",
    "Checkpoints",
    "DivergedError",
    "History",
    "MeanLoss",
    "cross_entropy",
    "fit",
    "inverse_sqrt",
    "load_checkpoint",
    "save_checkpoint",
    "teacher_forced",
    "token_loss",
    "warmup_cosine",
]
