"""Every tokenizer of the package has the methods of the protocol."""

import inspect
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from llmbook import tokenizers
from llmbook.tokenizers import Characters, Tokenizer

KINDS = [
    value
    for name in tokenizers.__all__
    if inspect.isclass(value := getattr(tokenizers, name)) and value is not Tokenizer
]


def test_there_are_kinds_to_hold():
    assert KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_all_that_the_protocol_asks(kind):
    asked = {name for name in vars(Tokenizer) if not name.startswith("_")}
    assert asked >= {"vocab_size", "encode", "decode", "save", "load"}
    assert asked <= set(dir(kind))
    for name in asked - {"vocab_size"}:
        wanted = list(inspect.signature(getattr(Tokenizer, name)).parameters)
        found = list(inspect.signature(getattr(kind, name)).parameters)
        assert found[: len(wanted)] == wanted


def made(kind):
    return kind.train(["abc", "ab"], None if kind is Characters else 258)


LONE = "a lone surrogate, .*d800.*, at place 1; expected characters"


@pytest.mark.messages
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"abc", "got bytes b'abc'|symbols is a bytes; expected a list"),
        (b"", "got bytes b''|symbols is a bytes"),
        (bytearray(b"a"), "got bytearray|symbols is a bytearray"),
        (None, "got NoneType None|symbols is a NoneType"),
        (5, "got int 5|symbols is a int"),
        (["a", None], "got list|got NoneType None"),
        ([["a"]], "got list"),
        ({"a": 1}, "got dict|symbols is a dict"),
        ("a\ud800", LONE),
        ("a\udfffb", LONE.replace("d800", "dfff")),
    ],
)
def test_what_is_no_text_is_named(kind, text, message):
    with pytest.raises(ValueError, match=message):
        made(kind).encode(text)


@pytest.mark.messages
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, -1], r"got \[-1\]"),
        ([0, 10**9], r"got \[1000000000\]"),
        ([10**30], r"got \[10000"),
        ([1.0], r"got \[1.0\]"),
        ([float("nan")], r"got \[nan\]"),
        ([True, 0], r"got \[True\]"),
        ([None], r"got \[None\]"),
        (["a"], r"got \['a'\]"),
        ([[0]], r"got \[\[0\]\]"),
        ("01", "got a str"),
        (b"01", "got a bytes"),
        (7, "got a int"),
        (None, "got a NoneType"),
        (torch.tensor([1.0]), r"got \[1.0\]"),
        (torch.tensor([True]), r"got \[True\]"),
        (torch.tensor([[0]]), r"got \[\[0\]\]"),
    ],
)
def test_what_is_no_id_is_named(kind, ids, message):
    tokenizer = made(kind)
    for read in (tokenizer.decode, tokenizer.tokens):
        with pytest.raises(ValueError, match=f"0 … {tokenizer.vocab_size - 1}; {message}"):
            read(ids)


@pytest.mark.messages
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("abc", "texts is a str|items is a str"),
        (b"abc", "is a bytes"),
        (None, "is a NoneType"),
        ({"abc": 1}, "is a dict"),
        (["abc", None], "got NoneType None|symbols is a NoneType"),
        (["abc", b"abc"], "got bytes b'abc'|symbols is a bytes"),
        (["abc", 5], "got int 5|symbols is a int"),
        (["abc", "a\ud800"], LONE),
    ],
)
def test_what_nothing_can_be_learned_from_is_named(kind, texts, message):
    with pytest.raises(ValueError, match=message):
        kind.train(texts, 300)


@pytest.mark.messages
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [300.0, "300", True])
def test_a_size_that_is_none_is_named(kind, size):
    with pytest.raises(ValueError, match=f"vocab_size is {size!r}; expected at least 1, an integer"):
        kind.train(["abc"], size)


@pytest.mark.messages
@pytest.mark.parametrize("kind", KINDS)
def test_ids_may_come_in_any_row_of_integers(kind):
    tokenizer = made(kind)
    ids = tokenizer.encode("abc")
    for same in (tuple(ids), iter(ids), np.array(ids), list(np.array(ids)), torch.tensor(ids)):
        assert tokenizer.decode(same) == "abc"
    assert tokenizer.decode(np.array([], dtype=int)) == tokenizer.decode(iter(())) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_save_that_fails_leaves_the_file_that_was_there(kind, tmp_path, monkeypatch):
    path = tmp_path / "tokenizer.json"
    made(kind).save(path)
    before = path.read_bytes()

    def full(*_):
        raise OSError("No space left on device")

    for name in ("write_bytes", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(*((os, name) if name == "replace" else (Path, name)), full)
            with pytest.raises(OSError, match="No space"):
                kind.train(["xyz"], 300).save(path)
        assert path.read_bytes() == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["tokenizer.json"]
