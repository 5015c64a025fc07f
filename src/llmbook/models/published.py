"""Published weights under other names.

Book: §2.1.1
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def load_renamed(
    model: nn.Module, state_dict: Mapping[str, Tensor], names: Mapping[str, str]
) -> None:
    """Copies each published tensor into the parameter of ours that `names` gives for its name.

    Nothing is copied unless all fit.

    Raises:
        ValueError: a tensor of `names` that is missing, one that it does not name, or one of
            another shape; the message names it.
    """
    ours = dict(model.named_parameters())
    if missing := sorted(names.keys() - state_dict.keys()):
        raise ValueError(f"the state dict lacks {missing[0]!r} ({len(missing)} are missing)")
    if unknown := sorted(state_dict.keys() - names.keys()):
        raise ValueError(f"the state dict has an unknown {unknown[0]!r} ({len(unknown)} are)")
    for theirs, name in names.items():
        given, expected = list(state_dict[theirs].shape), list(ours[name].shape)
        if given != expected:
            raise ValueError(f"{theirs!r} has shape {given}; expected {expected}")
    with torch.no_grad():
        for theirs, name in names.items():
            ours[name].copy_(state_dict[theirs])
