"""Packs a model's weights as a script for the site: pages opened from the disk may not fetch, but may load a script.

Book: §0
"""

import base64
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float, Int8
from torch import Tensor

from llmbook.models import TransformerConfig

REGISTER = "window.LLMBook = window.LLMBook || {};\n(LLMBook.weights = LLMBook.weights || {})[%s] = JSON.parse(%s);\n"


def pack(
    tensors: Mapping[str, Tensor],
    config: TransformerConfig,
    *,
    name: str,
    bits: int,
    in_float16: Collection[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> str:
    """A script that sets `LLMBook.weights[name]` to {config, tensors, data, extra}; the same tensors give the same bytes.

    `data` is one base64 string of little-endian bytes. `tensors` has name, shape, kind and offset of each: "float16", or
    "int8" with one float32 scale a row at `scales`. Vectors are always float16.

    Args:
        tensors: the parameters by name, a tied one once.
        name: what the page calls the model.
        bits: 16 is float16, 8 is int8 for the matrices.
        in_float16: matrices that stay float16 with 8 bits.
        extra: what the page needs besides, such as a tokenizer; anything that JSON can hold.

    Raises:
        ValueError: other bits, a name in `in_float16` that is no tensor, a value that float16 or int8 cannot hold.
    """
    if bits not in (8, 16):
        raise ValueError(f"bits is {bits}; expected 8 or 16")
    if unknown := sorted(set(in_float16) - set(tensors)):
        raise ValueError(f"in_float16 names {unknown}, which are no tensors of the model")
    table: list[dict[str, Any]] = []
    data = bytearray()
    for tensor_name, tensor in sorted(tensors.items()):
        require_packable(tensor_name, tensor)
        row = {"name": tensor_name, "shape": list(tensor.shape)}
        if bits == 16 or tensor.ndim < 2 or tensor_name in in_float16:
            table.append(row | {"kind": "float16", "offset": len(data)})
            data += raw(tensor.half())
        else:
            codes, scales = quantize_rows(tensor.float())
            table.append(row | {"kind": "int8", "offset": len(data), "scales": len(data) + codes.numel()})
            data += raw(codes) + raw(scales)
    packed = {"config": asdict(config), "tensors": table, "data": base64.b64encode(data).decode(), "extra": extra or {}}
    # JSON twice: the outer string is ASCII, and a key "__proto__" of a vocabulary stays a key
    return REGISTER % (json.dumps(name), json.dumps(json.dumps(packed, ensure_ascii=False, separators=(",", ":"))))


def quantize_rows(matrix: Float[Tensor, "rows cols"]) -> tuple[Int8[Tensor, "rows cols"], Float[Tensor, "rows"]]:
    """Codes in ±127 and a scale a row, max |w| / 127: w ≈ code · scale. A row of zeros has the scale 0."""
    scales = matrix.abs().amax(dim=1) / 127
    codes = (matrix / scales.where(scales > 0, 1.0)[:, None]).round().clamp(-127, 127)
    return codes.to(torch.int8), scales


def require_packable(name: str, tensor: Tensor) -> None:
    """Raises ValueError unless the tensor is a vector or a matrix of finite values within float16."""
    if tensor.ndim not in (1, 2) or not tensor.is_floating_point() or not tensor.numel():
        raise ValueError(
            f"{name} is {tensor.dtype} of shape {list(tensor.shape)}; expected a vector or matrix of floats"
        )
    largest, limit = tensor.abs().max().item(), torch.finfo(torch.float16).max
    if not largest <= limit:
        raise ValueError(f"{name} holds {'NaN' if math.isnan(largest) else largest}; expected at most {limit:g}")


def raw(tensor: Tensor) -> bytes:
    """The tensor's values in row order, little-endian."""
    array = tensor.detach().cpu().contiguous().numpy()
    return array.astype(array.dtype.newbyteorder("<")).tobytes()
