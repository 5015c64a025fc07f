"""Checkpoints that a crash cannot spoil: a new folder each time, and one small file that says which is in force.

A checkpoint folder holds model.safetensors, config.json, state.json (step, history, generators) and, where given, tokenizer.json and
optimizer.safetensors. The file LATEST names the folder in force; it is replaced last and atomically, so that at every moment
it names a complete checkpoint. No pickle: reading a checkpoint runs no code of its author's.

Leaves out: sharded files, writing in the background.

Book: §3.1.1
"""

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from llmbook.tokenizers import Tokenizer

LATEST = "LATEST"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds: `model` and `optimizer` are state dicts, `tokenizer` is the file for that tokenizer's `load`."""

    folder: Path
    step: int
    config: dict[str, Any]
    model: dict[str, Tensor]
    optimizer: dict[str, Any] | None
    tokenizer: Path | None
    generators: dict[str, Tensor]
    extra: dict[str, Any]


def save_checkpoint(
    folder: Path | str,
    *,
    model: nn.Module,
    config: Any,
    step: int,
    optimizer: torch.optim.Optimizer | None = None,
    tokenizer: Tokenizer | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a new checkpoint beside the earlier ones, puts it in force, and keeps the one before it.

    Args:
        folder: holds the checkpoints step-NNNNNN and LATEST.
        config: a dataclass, a mapping or None.
        step: how many updates have been made.
        extra: more for state.json, such as the history; JSON values only.

    Returns:
        The new checkpoint's own folder.
    """
    folder = Path(folder)
    before = folder_in_force(folder)
    new = folder / f"step-{step:06d}"
    if new == before:  # the one in force is never written to
        new = new.with_name(new.name + "b")
    shutil.rmtree(new, ignore_errors=True)  # what a crash has left
    new.mkdir(parents=True)

    settings = dataclasses.asdict(config) if dataclasses.is_dataclass(config) else dict(config or {})
    state = {"step": step, "generators": generator_states(model), "extra": dict(extra or {})}
    write_tensors(new / "model.safetensors", model.state_dict(), {})
    if optimizer is not None:
        tensors, rest = flattened(optimizer.state_dict())
        write_tensors(new / "optimizer.safetensors", tensors, {"rest": json.dumps(rest)})
    if tokenizer is not None:
        tokenizer.save(new / "tokenizer.json")
    (new / "config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    (new / "state.json").write_text(json.dumps(state) + "\n", encoding="utf-8")
    for path in (*new.iterdir(), new):
        flush(path)

    pointer = folder / f"{LATEST}.new"
    pointer.write_text(new.name + "\n", encoding="utf-8")
    flush(pointer)
    os.replace(pointer, folder / LATEST)
    flush(folder)
    for old in folder.glob("step-*"):
        if old not in (new, before):
            shutil.rmtree(old)
    return new


def load_checkpoint(folder: Path | str) -> Checkpoint:
    """Reads the checkpoint in force.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    current = folder_in_force(Path(folder))
    if current is None:
        raise ValueError(f"{folder} holds no checkpoint: it has no file {LATEST}")
    try:
        state = json.loads((current / "state.json").read_text(encoding="utf-8"))
        config = json.loads((current / "config.json").read_text(encoding="utf-8"))
        model, _ = read_tensors(current / "model.safetensors")
        optimizer = None
        if (current / "optimizer.safetensors").exists():
            tensors, metadata = read_tensors(current / "optimizer.safetensors")
            optimizer = unflattened(tensors, json.loads(metadata["rest"]))
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise ValueError(f"the checkpoint {current} is damaged: {error}") from error
    tokenizer = current / "tokenizer.json"
    return Checkpoint(
        folder=current,
        step=state["step"],
        config=config,
        model=model,
        optimizer=optimizer,
        tokenizer=tokenizer if tokenizer.exists() else None,
        generators={
            device: torch.frombuffer(bytearray.fromhex(digits), dtype=torch.uint8)
            for device, digits in state["generators"].items()
        },
        extra=state["extra"],
    )


def folder_in_force(folder: Path) -> Path | None:
    """The checkpoint that LATEST names, or None where there is no such file."""
    pointer = folder / LATEST
    return folder / pointer.read_text(encoding="utf-8").strip() if pointer.exists() else None


def generator_states(model: nn.Module) -> dict[str, str]:
    """The states of torch's global generators, the CPU's and those of the model's accelerators, in hexadecimal."""
    states = {"cpu": torch.get_rng_state()}
    for device in {parameter.device for parameter in model.parameters()}:
        if device.type in ("cuda", "mps"):
            states[str(device)] = torch.get_device_module(device).get_rng_state()
    return {name: state.numpy().tobytes().hex() for name, state in states.items()}


def restore_generators(states: Mapping[str, Tensor]) -> None:
    """Sets torch's global generators to the saved states; those of devices that this machine lacks are passed over."""
    for name, state in states.items():
        device = torch.device(name)
        if device.type == "cpu":
            torch.set_rng_state(state)
        elif torch.get_device_module(device).is_available():
            torch.get_device_module(device).set_rng_state(state)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Writes tensors to a safetensors file, one that has several names (a tied embedding) once, its other names as metadata."""
    first_name: dict[tuple, str] = {}
    shared = {}
    for name, tensor in tensors.items():
        place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride()) if tensor.numel() else name
        if first_name.setdefault(place, name) != name:
            shared[name] = first_name[place]
    unique = {name: tensor.contiguous() for name, tensor in tensors.items() if name not in shared}
    save_file(unique, path, metadata={**metadata, "shared": json.dumps(shared)})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """What `write_tensors` wrote: all tensors under all their names, and the metadata."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, first in json.loads(metadata.pop("shared")).items():
        tensors[name] = tensors[first]
    return tensors, metadata


def flattened(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """An optimizer's state dict as tensors "parameter.name", and the rest as JSON."""
    named = {f"{index}.{name}": value for index, values in state["state"].items() for name, value in values.items()}
    tensors = {name: value for name, value in named.items() if isinstance(value, Tensor)}
    numbers = {name: value for name, value in named.items() if name not in tensors}
    return tensors, {"numbers": numbers, "param_groups": state["param_groups"]}


def unflattened(tensors: Mapping[str, Tensor], rest: Mapping[str, Any]) -> dict[str, Any]:
    """The state dict that `flattened` took apart."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **rest["numbers"]}.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    return {"state": state, "param_groups": rest["param_groups"]}


def flush(path: Path) -> None:
    """Asks the system to put a file or a folder on the disk, so that a power cut cannot reorder the steps."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
