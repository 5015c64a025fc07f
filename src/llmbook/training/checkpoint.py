"""Checkpoints that a crash cannot spoil: a new folder each time, and one small file that says which is in force.

A checkpoint folder holds model.safetensors, config.json, state.json (version, step, history, generators) and, where given, tokenizer.json
and optimizer.safetensors. The file LATEST names the folder in force; it is replaced last and atomically, so that at every moment
it names a complete checkpoint. No pickle: reading a checkpoint runs no code of its author's.

Leaves out: sharded files, writing in the background.

Book: §3.1.1
"""

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from llmbook.atomic import replacing, write_text
from llmbook.checks import require_at_least
from llmbook.tokenizers import Tokenizer
from llmbook.training.tensor_file import read_tensors, write_tensors

LATEST, STATE = "LATEST", "state.json"
NAME = re.compile(r"step-\d{6,}b*")  # of a checkpoint's folder: the step, and b where that name was taken
VERSION = 1  # of state.json; those without one are of version 1


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

    A save that fails leaves nothing behind. Only checkpoints are deleted: what else is in the folder stays.

    Args:
        folder: holds the checkpoints step-NNNNNN and LATEST.
        config: a dataclass, a mapping or None.
        step: how many updates have been made.
        extra: more for state.json, such as the history; JSON values only.

    Returns:
        The new checkpoint's own folder.

    Raises:
        ValueError: before anything is written: a negative step, a config or `extra` that JSON cannot hold (NaN and infinity are no JSON),
            something else than a tokenizer, a model without values, a LATEST that names no checkpoint.
    """
    folder = Path(folder)
    before = folder_in_force(folder)
    require_savable(model, config, step, tokenizer)
    tensors, rest = ({}, {}) if optimizer is None else flattened(optimizer.state_dict())
    rest_text = json_text("optimizer.safetensors", rest)
    config_text = json_text("config.json", table("config", config), indent=1)
    state = {"version": VERSION, "step": step, "generators": generator_states(model), "extra": table("extra", extra)}
    state_text = json_text(STATE, state)

    new = free_place(folder, step, before)
    try:
        shutil.rmtree(new, ignore_errors=True)  # what a crash has left
        write_text(new / STATE, state_text)  # first: it marks the folder as a checkpoint's
        write_text(new / "config.json", config_text)
        write_tensors(new / "model.safetensors", model.state_dict(), {})
        if optimizer is not None:
            write_tensors(new / "optimizer.safetensors", tensors, {"rest": rest_text})
        if tokenizer is not None:
            tokenizer.save(new / "tokenizer.json")
        for path in (*new.iterdir(), new):
            flush(path)
        with replacing(folder / LATEST) as pointer:
            pointer.write_text(new.name + "\n", encoding="utf-8")
            flush(pointer)
        flush(folder)
    except BaseException:
        if folder_in_force(folder) != new:
            shutil.rmtree(new, ignore_errors=True)
        raise
    for old in folder.iterdir():
        if is_checkpoint(old) and old not in (new, before):
            shutil.rmtree(old)
    return new


def load_checkpoint(folder: Path | str) -> Checkpoint:
    """Reads the checkpoint in force.

    Raises:
        ValueError: there is none, it is damaged, or it is of a newer version.
    """
    current = folder_in_force(Path(folder))
    if current is None:
        raise ValueError(f"{folder} holds no checkpoint: it has no file {LATEST}")
    try:
        state = read_table(current / STATE)
        version = state.get("version", VERSION)
        if version == VERSION:
            return read_checkpoint(current, state)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"the checkpoint {current} is damaged: {reason}") from error
    raise ValueError(f"the checkpoint {current} is of version {version!r}; this package reads version {VERSION}")


def read_checkpoint(current: Path, state: Mapping[str, Any]) -> Checkpoint:
    """The checkpoint in that folder, with this state.

    Raises:
        OSError, ValueError, KeyError, TypeError or SafetensorError: it is damaged.
    """
    for name, kind in {"step": int, "generators": dict, "extra": dict}.items():
        if name not in state:
            raise ValueError(f"{STATE} has no {name!r}")
        if not isinstance(state[name], kind):
            raise ValueError(f"{name!r} of {STATE} is {state[name]!r}; expected {kind.__name__}")
    config = read_table(current / "config.json")
    model, _ = read_tensors(current / "model.safetensors")
    optimizer, tokenizer = current / "optimizer.safetensors", current / "tokenizer.json"
    optimizer_state = None
    if optimizer.exists():
        tensors, metadata = read_tensors(optimizer)
        optimizer_state = unflattened(tensors, json.loads(metadata["rest"]))
    return Checkpoint(
        folder=current,
        step=state["step"],
        config=config,
        model=model,
        optimizer=optimizer_state,
        tokenizer=tokenizer if tokenizer.exists() else None,
        generators={
            device: torch.frombuffer(bytearray.fromhex(digits), dtype=torch.uint8)
            for device, digits in state["generators"].items()
        },
        extra=state["extra"],
    )


def folder_in_force(folder: Path) -> Path | None:
    """The checkpoint that LATEST names, or None where there is no such file.

    Raises:
        ValueError: LATEST says something else than the name of a checkpoint.
    """
    pointer = folder / LATEST
    if not pointer.exists():
        return None
    name = pointer.read_text(encoding="utf-8", errors="replace").strip()
    if not NAME.fullmatch(name):
        raise ValueError(
            f"{pointer} says {name!r:.80}; expected the name of a checkpoint beside it, such as step-000100"
        )
    return folder / name


def free_place(folder: Path, step: int, before: Path | None) -> Path:
    """Where a checkpoint of this step may be written: neither the one in force nor what is somebody else's."""
    for repeat in count():
        place = folder / f"step-{step:06d}{'b' * repeat}"
        if place != before and (is_checkpoint(place) or not os.path.lexists(place)):
            return place


def is_checkpoint(path: Path) -> bool:
    """Whether it is a folder that `save_checkpoint` has written, or has begun to."""
    return bool(NAME.fullmatch(path.name)) and not path.is_symlink() and (path / STATE).is_file()


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


def table(name: str, value: Any) -> dict[str, Any]:
    """A dataclass or a mapping as a dict, None as an empty one.

    Raises:
        ValueError: it is something else.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if value is not None and not isinstance(value, Mapping):
        raise ValueError(f"{name} is a {type(value).__name__}; expected a dataclass, a mapping or None")
    return dict(value or {})


def json_text(file: str, value: Any, *, indent: int | None = None) -> str:
    """A line of JSON.

    Raises:
        ValueError: JSON has no such value; `file` is where it was to stand.
    """
    try:
        return json.dumps(value, indent=indent, allow_nan=False) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{file} can't hold what is to be saved: {error}") from error


def read_table(path: Path) -> dict[str, Any]:
    """A file of JSON that holds a table.

    Raises:
        OSError or ValueError: there is no such file, or it holds something else.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is no table")
    return content


def require_savable(model: nn.Module, config: Any, step: int, tokenizer: Tokenizer | None) -> None:
    """Raises ValueError unless the model has values, JSON can hold the config, step counts updates, and the tokenizer is one."""
    require_at_least(0, step=step)
    json_text("config.json", table("config", config))
    if tokenizer is not None and not isinstance(tokenizer, Tokenizer):
        raise ValueError(f"tokenizer is a {type(tokenizer).__name__}; expected a Tokenizer")
    for name, tensor in model.state_dict().items():
        if tensor.is_meta:
            raise ValueError(f"{name} is on the meta device: it has no values to save")


def flush(path: Path) -> None:
    """Asks the system to put a file or a folder on the disk, so that a power cut cannot reorder the steps."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
