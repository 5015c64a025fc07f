"""What a position adds to an embedding: the protocol of its modules, and the one that adds 0.

Book: §1.2.4
"""

from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Positions(Protocol):
    """A module that gives, for each position, what is added to the embedding there."""

    def __call__(self, positions: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d_model"]:
        """`positions` count from 0; a last dimension of 1 stands for any width."""


class NoPositions(nn.Module):
    """0 at every position: the model has no order but that of its masks."""

    def forward(self, positions: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch 1"]:
        return torch.zeros(*positions.shape, 1, device=positions.device)
