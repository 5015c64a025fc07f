"""A script of packed weights: the same bytes each time, every tensor found again, nothing that cannot be held."""

import base64
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from llmbook.models import Transformer, TransformerConfig
from llmbook.site.packing import pack

CONFIG = TransformerConfig(5, d_model=4, num_heads=2, num_layers=1, max_seq_len=6)


def tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {name: tensor.detach() for name, tensor in Transformer(CONFIG).named_parameters()}


def content(script: str) -> dict[str, Any]:
    """What the page gets: the argument of JSON.parse."""
    before, _, argument = script.partition("JSON.parse(")
    assert before == 'window.LLMBook = window.LLMBook || {};\n(LLMBook.weights = LLMBook.weights || {})["tiny"] = '
    assert argument.endswith(");\n")
    return json.loads(json.loads(argument[:-3]))


def unpacked(packed: dict[str, Any]) -> Iterable[tuple[str, Tensor]]:
    data = base64.b64decode(packed["data"])
    for row in packed["tensors"]:
        values = np.frombuffer(data, "<f2", int(np.prod(row["shape"])), row["offset"])
        yield row["name"], torch.tensor(values.astype(np.float32)).view(row["shape"])


def test_float16_holds_every_tensor() -> None:
    given = tensors()
    found = list(unpacked(content(pack(given, CONFIG, name="tiny"))))
    assert [name for name, _ in found] == sorted(given)
    for name, values in found:
        assert torch.equal(values, given[name].half().float())


def test_the_same_tensors_give_the_same_bytes_in_any_order() -> None:
    again = dict(reversed(tensors().items()))
    assert pack(tensors(), CONFIG, name="tiny") == pack(again, CONFIG, name="tiny")


def test_config_and_extra_arrive_and_the_script_is_ascii() -> None:
    extra = {"symbols": ["你", '"', "\u2028", "\\", "</script>"], "vocab": {"__proto__": 1}}
    script = pack(tensors(), CONFIG, name="tiny", extra=extra)
    packed = content(script)
    assert script.isascii()
    assert packed["extra"] == extra
    assert TransformerConfig(**packed["config"]) == CONFIG


@pytest.mark.messages
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.tensor([1e6]), "x holds 1000000.0; expected at most 65504"),
        (torch.tensor([[1.0, float("nan")]]), "x holds NaN"),
        (torch.tensor([[1.0, -float("inf")]]), "x holds inf"),
        (torch.zeros(2, 2, 2), r"x is torch.float32 of shape \[2, 2, 2\]"),
        (torch.zeros(0), r"of shape \[0\]"),
        (torch.tensor([1, 2]), "x is torch.int64"),
    ],
)
def test_what_cannot_be_packed(bad: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack({**tensors(), "x": bad}, CONFIG, name="tiny")
