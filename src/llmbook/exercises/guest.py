"""What stands on the student's side of a check: values to JSON and back, and one call of a function.

The judge sends this file alone into the sandbox and imports it itself; it knows no exercise, no check and no other part of
the book. Arrays travel as raw bytes with a type and a shape, so that nothing that comes back can run code.

Book: §0
"""

import base64
import json
import linecache
import math
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
DEEPEST = 8
ANSWER = "application/x-llmbook-answer"


class ForeignError(ValueError):
    """A value that is none of those that can be sent."""


def encode(value: Any) -> Any:
    """What JSON can hold: numbers, text, None, lists, tuples, dicts with text as keys, NumPy arrays, tensors.

    Raises:
        ForeignError: the value, or a part of it, is something else; the message names its type.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if isinstance(value, float | np.floating) and not isinstance(value, np.ndarray):
        return float(value) if math.isfinite(value) else {"float": str(float(value))}
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    if type(value) in (list, tuple):
        return {type(value).__name__: [encode(part) for part in value]}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: encode(part) for key, part in value.items()}}
    if isinstance(value, torch.Tensor | np.ndarray):
        return _encode_array(value)
    raise ForeignError(type(value).__name__)


def _encode_array(value: torch.Tensor | np.ndarray) -> dict[str, Any]:
    kind = "tensor" if isinstance(value, torch.Tensor) else "array"
    if isinstance(value, np.ndarray):
        if value.dtype.name not in DTYPES:
            raise ForeignError(f"array of {value.dtype.name}")
        value = torch.from_numpy(np.array(value, order="C"))
    name = str(value.dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ForeignError(f"tensor of {name}")
    flat = value.detach().cpu().reshape(-1).contiguous()
    raw = bytes(flat.view(torch.uint8).numpy()) if flat.numel() else b""
    return {kind: base64.b64encode(raw).decode("ascii"), "dtype": name, "shape": list(value.shape)}


def decode(data: Any, depth: int = 0) -> Any:
    """The value that `encode` gave; what comes from a sandbox is believed in nothing.

    Raises:
        ValueError: it is no such thing: unknown kind, type or shape, a wrong number of bytes, nested deeper than 8.
    """
    if data is None or type(data) in (bool, int, float, str):
        return data
    if type(data) is not dict or depth > DEEPEST:
        raise ValueError(f"a value is a {type(data).__name__} at depth {depth}; expected what encode writes")
    if set(data) == {"float"} and data["float"] in ("nan", "inf", "-inf"):
        return float(data["float"])
    if set(data) in ({"list"}, {"tuple"}) and type(next(iter(data.values()))) is list:
        ((kind, parts),) = data.items()
        return (list if kind == "list" else tuple)(decode(part, depth + 1) for part in parts)
    if set(data) == {"dict"} and type(data["dict"]) is dict:
        return {key: decode(part, depth + 1) for key, part in data["dict"].items()}
    for kind in ("tensor", "array"):
        if set(data) == {kind, "dtype", "shape"}:
            return _decode_array(kind, data[kind], data["dtype"], data["shape"])
    raise ValueError(f"a value has the keys {sorted(data)[:5]}; expected what encode writes")


def _decode_array(kind: str, text: Any, name: Any, shape: Any) -> torch.Tensor | np.ndarray:
    if type(text) is not str or name not in DTYPES or type(shape) is not list or len(shape) > DEEPEST:
        raise ValueError("an array needs base64 text, a known type and a list of at most 8 lengths")
    if not all(type(length) is int and 0 <= length < 2**31 for length in shape):
        raise ValueError("the lengths of an array are integers from 0 to 2**31")
    if math.prod(length or 1 for length in shape) >= 2**31:  # also of an empty one, whose other lengths may be anything
        raise ValueError(f"an array of shape {shape} is larger than any that is sent")
    dtype = getattr(torch, name)
    raw = base64.b64decode(text, validate=True)
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of shape {shape} and type {name} has {len(raw)} bytes")
    tensor = torch.frombuffer(bytearray(raw), dtype=dtype) if raw else torch.empty(0, dtype=dtype)
    tensor = tensor.reshape(shape)
    if kind == "tensor":
        return tensor
    if name == "bfloat16":
        raise ValueError("NumPy has no bfloat16")
    return tensor.numpy()


def answer(namespace: Mapping[str, Any], request: str) -> str:
    """One call, JSON to JSON: {"function", "args", "gradient"} → {"value", "gradients", "changed"} or {"error", "message", "line"}.

    With "gradient", the result is multiplied by fixed weights (the cosines of 0, 1, 2, …), summed, and sent backward; the gradients of
    all floating tensors among the arguments come back. "changed" lists the arguments that the call has overwritten.
    """
    asked = json.loads(request)
    function = namespace.get(asked["function"])
    if not callable(function):
        return json.dumps({"error": "missing", "message": asked["function"], "line": ""})
    return json.dumps(called(function, [decode(part) for part in asked["args"]], gradient=asked["gradient"]))


class _Reply:
    """Hands an answer to the kernel's display machinery as it is."""

    def __init__(self, text: str):
        self.text = text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {ANSWER: self.text}


def reply(namespace: Mapping[str, Any], request: str) -> _Reply:
    """`answer`, in the form that a kernel sends back."""
    return _Reply(answer(namespace, request))


def called(function: Callable[..., Any], args: list[Any], *, gradient: bool) -> dict[str, Any]:
    """One call as `answer` describes it; `args` are the function's to overwrite."""
    before = [json.dumps(encode(part)) for part in args]
    leaves = [part for part in args if isinstance(part, torch.Tensor) and part.is_floating_point()]
    try:
        if gradient:
            args = [
                part.requires_grad_() if isinstance(part, torch.Tensor) and part.is_floating_point() else part
                for part in args
            ]
        value = function(*args)
        found = {"value": encode(value), "gradients": None}
        if gradient:
            (value * torch.arange(value.numel(), dtype=value.dtype).reshape(value.shape).cos()).sum().backward()
            found["gradients"] = [encode(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad) for leaf in leaves]
        found["changed"] = [i for i, part in enumerate(args) if json.dumps(encode(part)) != before[i]]
        return found
    except ForeignError as error:
        return {"error": "foreign", "message": str(error), "line": ""}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)[:500], "line": _line(error)}


def _line(error: Exception) -> str:
    """The last line of the function's own code that the error went through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    own = [frame for frame in frames if "site-packages" not in frame.filename]
    return linecache.getline(own[-1].filename, own[-1].lineno or 0).strip()[:200] if own else ""
