"""Packs a model's weights as a script for the site: pages opened from the disk may not fetch, but may load a script.

Book: §0
"""

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from llmbook.models import TransformerConfig

REGISTER = "window.LLMBook = window.LLMBook || {};\n(LLMBook.weights = LLMBook.weights || {})[%s] = JSON.parse(%s);\n"


def pack(
    tensors: Mapping[str, Tensor],
    config: TransformerConfig,
    *,
    name: str,
    extra: Mapping[str, Any] | None = None,
) -> str:
    """A script that sets `LLMBook.weights[name]` to {config, tensors, data, extra}; the same tensors give the same bytes.

    `data` is one base64 string of little-endian float16 numbers; `tensors` has name, shape and offset of each, in bytes.

    Leaves out: int8, which halves the script and costs no BLEU, but words one translation in eight differently.

    Args:
        tensors: the parameters by name, a tied one once.
        name: what the page calls the model.
        extra: what the page needs besides, such as a tokenizer; anything that JSON can hold.

    Raises:
        ValueError: a value that float16 cannot hold.
    """
    table: list[dict[str, Any]] = []
    data = bytearray()
    for tensor_name, tensor in sorted(tensors.items()):
        require_packable(tensor_name, tensor)
        table.append({"name": tensor_name, "shape": list(tensor.shape), "offset": len(data)})
        data += tensor.detach().cpu().half().numpy().astype("<f2").tobytes()
    packed = {"config": asdict(config), "tensors": table, "data": base64.b64encode(data).decode(), "extra": extra or {}}
    # JSON twice: the outer string is ASCII, and a key "__proto__" of a vocabulary stays a key
    return REGISTER % (json.dumps(name), json.dumps(json.dumps(packed, ensure_ascii=False, separators=(",", ":"))))


def require_packable(name: str, tensor: Tensor) -> None:
    """Raises ValueError unless the tensor is a vector or a matrix of finite values within float16."""
    if tensor.ndim not in (1, 2) or not tensor.is_floating_point() or not tensor.numel():
        raise ValueError(
            f"{name} is {tensor.dtype} of shape {list(tensor.shape)}; expected a vector or matrix of floats"
        )
    largest, limit = tensor.abs().max().item(), torch.finfo(torch.float16).max
    if not largest <= limit:
        raise ValueError(f"{name} holds {'NaN' if math.isnan(largest) else largest}; expected at most {limit:g}")
