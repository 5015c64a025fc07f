"""A script of packed weights: the same bytes each time, every tensor found again, nothing that cannot be held."""

import base64
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from llmbook.course.weights import pack, quantize_rows
from llmbook.models import Transformer, TransformerConfig

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


def unpacked(packed: dict[str, Any]) -> Iterable[tuple[str, str, Tensor]]:
    data = base64.b64decode(packed["data"])
    for row in packed["tensors"]:
        size = int(np.prod(row["shape"]))
        kind = {"float16": "<f2", "int8": "i1"}[row["kind"]]
        values = torch.tensor(np.frombuffer(data, kind, size, row["offset"]).astype(np.float32)).view(row["shape"])
        if row["kind"] == "int8":
            scales = np.frombuffer(data, "<f4", row["shape"][0], row["scales"])
            values = values * torch.tensor(scales.copy())[:, None]
        yield row["name"], row["kind"], values


def test_float16_holds_every_tensor() -> None:
    given = tensors()
    found = list(unpacked(content(pack(given, CONFIG, name="tiny", bits=16))))
    assert [name for name, _, _ in found] == sorted(given)
    for name, kind, values in found:
        assert kind == "float16"
        assert torch.equal(values, given[name].half().float())


def test_int8_is_for_matrices_that_are_not_named() -> None:
    given, kept = tensors(), "target_embedding.weight"
    for name, kind, values in unpacked(content(pack(given, CONFIG, name="tiny", bits=8, in_float16=[kept]))):
        if given[name].ndim == 1 or name == kept:
            assert kind == "float16"
            assert torch.equal(values, given[name].half().float())
        else:
            assert kind == "int8"
            half_a_step = given[name].abs().amax(dim=1, keepdim=True) / 127 / 2
            assert ((values - given[name]).abs() <= half_a_step * 1.0001).all()


def test_quantize_rows_by_hand() -> None:
    codes, scales = quantize_rows(torch.tensor([[127.0, -63.6, 0.4], [0.0, 0.0, 0.0], [-254.0, 126.0, 3.0]]))
    assert codes.tolist() == [[127, -64, 0], [0, 0, 0], [-127, 63, 2]]
    torch.testing.assert_close(scales, torch.tensor([1.0, 0.0, 2.0]))


@pytest.mark.parametrize("bits", [8, 16])
def test_the_same_tensors_give_the_same_bytes_in_any_order(bits: int) -> None:
    given = tensors()
    again = dict(reversed(tensors().items()))
    assert pack(given, CONFIG, name="tiny", bits=bits) == pack(again, CONFIG, name="tiny", bits=bits)


def test_config_and_extra_arrive_and_the_script_is_ascii() -> None:
    extra = {"symbols": ["你", '"', "\u2028", "\\", "</script>"], "vocab": {"__proto__": 1}}
    script = pack(tensors(), CONFIG, name="tiny", bits=8, extra=extra)
    packed = content(script)
    assert script.isascii()
    assert packed["extra"] == extra
    assert TransformerConfig(**packed["config"]) == CONFIG


def test_int8_takes_about_half() -> None:
    matrices = {"a": torch.ones(64, 192), "b": torch.ones(192)}
    full, small = (len(content(pack(matrices, CONFIG, name="tiny", bits=bits))["data"]) for bits in (16, 8))
    assert 0.5 < small / full < 0.55


@pytest.mark.messages
@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        ({}, {"bits": 4}, "bits is 4; expected 8 or 16"),
        ({}, {"bits": 8, "in_float16": ["other"]}, r"in_float16 names \['other'\]"),
        ({"x": torch.tensor([1e6])}, {"bits": 16}, "x holds 1000000.0; expected at most 65504"),
        ({"x": torch.tensor([[1.0, float("nan")]])}, {"bits": 8}, "x holds NaN"),
        ({"x": torch.tensor([[1.0, -float("inf")]])}, {"bits": 8}, "x holds inf"),
        ({"x": torch.zeros(2, 2, 2)}, {"bits": 8}, r"x is torch.float32 of shape \[2, 2, 2\]"),
        ({"x": torch.zeros(0)}, {"bits": 8}, r"of shape \[0\]"),
        ({"x": torch.tensor([1, 2])}, {"bits": 16}, "x is torch.int64"),
    ],
)
def test_what_cannot_be_packed(change: dict[str, Tensor], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack({**tensors(), **change}, CONFIG, name="tiny", **settings)
