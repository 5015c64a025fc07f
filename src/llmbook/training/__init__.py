"""From a model to a trained model."""

from llmbook.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from llmbook.training.loop import Checkpoints, History, fit
from llmbook.training.losses import cross_entropy, teacher_forced
from llmbook.training.schedules import inverse_sqrt, warmup_cosine

__all__ = [
    "Checkpoint",
    "Checkpoints",
    "History",
    "cross_entropy",
    "fit",
    "inverse_sqrt",
    "load_checkpoint",
    "save_checkpoint",
    "teacher_forced",
    "warmup_cosine",
]
