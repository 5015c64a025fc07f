"""Tensors by name in a safetensors file, one with several names once.

Book: §3.1.1
"""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from llmbook.atomic import replacing


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes tensors to a safetensors file, one that has several names (a tied embedding) once, its other names as metadata."""
    first_name: dict[tuple, str] = {}
    shared = {}
    for name, tensor in tensors.items():
        place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride()) if tensor.numel() else name
        if first_name.setdefault(place, name) != name:
            shared[name] = first_name[place]
    unique = {name: tensor.contiguous() for name, tensor in tensors.items() if name not in shared}
    with replacing(path) as new:
        save_file(unique, new, metadata={**metadata, "shared": json.dumps(shared)})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What `write_tensors` wrote: all tensors under all their names, and the metadata."""
    with safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata() or {})
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, first in json.loads(metadata.pop("shared", "{}")).items():
        tensors[name] = tensors[first]
    return tensors, metadata
