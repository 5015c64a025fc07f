"""Every tokenizer of the package has the methods of the protocol."""

import inspect

import pytest

from llmbook import tokenizers
from llmbook.tokenizers import Tokenizer

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
