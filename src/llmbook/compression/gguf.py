"""GGUF, the file of llama.cpp: a model's sizes, its tokenizer, and its weights, most of them in blocks of few bits.

    header     GGUF, the version, how many tensors, how many entries of metadata
    metadata   of each entry: its key, the type of its value, the value
    tensors    of each: its name, its sizes from the innermost on, the type of its blocks, where its data begin
    data       from the next multiple of `general.alignment` on

Numbers are little-endian; before a text stands how many bytes it has. The format is told in ggml's docs/gguf.md.

Leaves out: version 1, big-endian files, models in several files, the other types of blocks, writing.

Book: §2.1.1
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

# The type of a value, as NumPy names it, or one of the two others.
NUMBERS = {
    0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8",
}  # fmt: skip
TEXT, ARRAY = 8, 9
DEEPEST = 4  # lists in lists; nobody has more than two

# The types of blocks in ggml's order, and those read here: how many weights there are in a block, and how it is stored.
FIRST_TYPES = ("F32", "F16", "Q4_0", "Q4_1", "Q4_2", "Q4_3", "Q5_0", "Q5_1", "Q8_0", "Q8_1")
K_TYPES = ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_K")
TYPES = (*FIRST_TYPES, *K_TYPES)
BLOCKS = {
    "F32": (1, np.dtype("<f4")),
    "F16": (1, np.dtype("<f2")),
    "Q4_1": (32, np.dtype([("scale", "<f2"), ("least", "<f2"), ("codes", "u1", 16)])),
    "Q8_0": (32, np.dtype([("scale", "<f2"), ("codes", "i1", 32)])),
}
MOST_DIMENSIONS = 4


@dataclass(frozen=True)
class GGUF:
    """What stands in a file: numbers, texts and lists of them by key, and float32 weights by name."""

    metadata: dict[str, Any]
    tensors: dict[str, Tensor]


def read_gguf(path: Path | str) -> GGUF:
    """Reads a whole file; sizes are in PyTorch's order, the innermost last.

    Nothing is allocated because the file says so: what it announces is first held against the bytes that it has.

    Raises:
        ValueError: a file of another kind, version or byte order, one that was cut short or has a damaged place, a tensor in blocks of
            another type; the message names the file, the byte and what was being read there.
    """
    file = Reader(path)
    if (magic := bytes(file.data[:4])) != b"GGUF":
        raise file.error(f"it begins with {magic!r}; expected b'GGUF'")
    file.position = 4
    if (version := file.number("<u4")) not in (2, 3):
        raise file.error(f"the version is {version}; expected 2 or 3, little-endian")
    num_tensors, num_entries = file.number("<u8"), file.number("<u8")
    file.require(24 * num_tensors + 13 * num_entries)  # the least that they can take

    metadata: dict[str, Any] = {}
    for index in range(num_entries):
        file.place = f"metadata entry {index}"
        file.place = f"metadata {(key := file.text())!r}"
        if key in metadata:
            raise file.error("this key stands here a second time")
        metadata[key] = file.value(file.kind())

    spans = tensor_spans(file, num_tensors, metadata.get("general.alignment", 32))
    tensors = {}
    for name, span in spans.items():
        blocks = np.frombuffer(file.data, span.blocks, span.num_blocks, span.start)
        tensors[name] = torch.from_numpy(dequantize(blocks).reshape(span.shape))
    return GGUF(metadata, tensors)


def dequantize(blocks: Shaped[np.ndarray, "num_blocks"]) -> Float[np.ndarray, "num_blocks ..."]:
    """The weights of blocks in float32: of Q8_0 w = d q with 8 bits for each q, of Q4_1 w = d q + m with 4 bits.

    d is the block's `scale`, m its `least` weight, q are its `codes`, two a byte in Q4_1: the low halves are the first 16.
    """
    with np.errstate(all="ignore"):  # a scale may be infinite
        if blocks.dtype.names is None:
            return blocks.astype(np.float32)
        codes = blocks["codes"]
        if "least" in blocks.dtype.names:
            codes = np.concatenate([codes & 15, codes >> 4], axis=1)
        weights = codes.astype(np.float32)
        weights *= blocks["scale"].astype(np.float32)[:, None]
        if "least" in blocks.dtype.names:
            weights += blocks["least"].astype(np.float32)[:, None]
        return weights


@dataclass(frozen=True)
class Span:
    """Where in a file a tensor's blocks lie, and what they are."""

    shape: list[int]
    blocks: np.dtype
    num_blocks: int
    start: int

    @property
    def end(self) -> int:
        return self.start + self.num_blocks * self.blocks.itemsize


def tensor_spans(file: "Reader", num_tensors: int, alignment: Any) -> dict[str, Span]:
    """Reads where each tensor lies.

    Raises:
        ValueError: one that is of an unknown type, is there twice, or lies where it can't: not aligned, beyond the file, upon another.
    """
    if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
        raise file.error(f"general.alignment is {alignment!r}; expected a power of 2")
    spans: dict[str, Span] = {}
    for index in range(num_tensors):
        file.place = f"tensor {index}"
        file.place = f"tensor {(name := file.text())!r}"
        if name in spans:
            raise file.error("a tensor of this name was there before")
        if (rank := file.number("<u4")) > MOST_DIMENSIONS:
            raise file.error(f"it has {rank} dimensions; expected at most {MOST_DIMENSIONS}")
        shape = file.numbers("<u8", rank)[::-1]
        kind, offset = file.number("<u4"), file.number("<u8")
        if (known := TYPES[kind] if kind < len(TYPES) else kind) not in BLOCKS:
            raise file.error(f"its blocks are of type {known}; expected one of {', '.join(BLOCKS)}")
        block_size, blocks = BLOCKS[known]
        if 0 in shape or (shape or [1])[-1] % block_size:
            raise file.error(f"its shape is {shape}; expected the last size to be a multiple of {block_size}, none 0")
        if offset % alignment:
            raise file.error(f"its data begin at {offset}; expected a multiple of {alignment}")
        spans[name] = Span(shape, blocks, math.prod(shape) // block_size, offset)

    begin = -(-file.position // alignment) * alignment
    spans = {name: Span(span.shape, span.blocks, span.num_blocks, begin + span.start) for name, span in spans.items()}
    for name, span in spans.items():
        file.position, file.place = span.start, f"the data of tensor {name!r}"
        if span.end > len(file.data):
            raise file.error(f"they end at byte {span.end}; the file has {len(file.data)} bytes")
    for (name, span), (other, after) in pairwise(sorted(spans.items(), key=lambda item: item[1].start)):
        if span.end > after.start:
            file.position, file.place = after.start, f"the data of tensor {other!r}"
            raise file.error(f"those of {name!r} end only at byte {span.end}")
    return spans


class Reader:
    """Goes through the bytes of a file, which are mapped into memory, not read."""

    def __init__(self, path: Path | str) -> None:
        self.path, self.position, self.place = path, 0, "header"
        # an empty file can't be mapped
        self.data = memoryview(np.memmap(path, mode="r")) if Path(path).stat().st_size else memoryview(b"")

    def error(self, message: str) -> ValueError:
        """What to raise here: the message, with the file and the place."""
        return ValueError(f"{self.path}, byte {self.position}, {self.place}: {message}")

    def require(self, count: int) -> None:
        """Raises ValueError unless so many bytes are left."""
        if count > (left := len(self.data) - self.position):
            raise self.error(
                f"at least {count} bytes should follow, but {left} do; the file was cut short or is damaged"
            )

    def numbers(self, kind: str, count: int) -> list[Any]:
        """The next numbers."""
        dtype = np.dtype(kind)
        self.require(count * dtype.itemsize)
        found = np.frombuffer(self.data, dtype, count, self.position)
        self.position += count * dtype.itemsize
        return found.tolist()

    def number(self, kind: str) -> Any:
        """The next number."""
        return self.numbers(kind, 1)[0]

    def text(self) -> str:
        """The next text, after its length."""
        self.require(length := self.number("<u8"))
        try:
            found = str(self.data[self.position : self.position + length], "utf-8")
        except UnicodeDecodeError as error:
            raise self.error(f"the text is no UTF-8: {error.reason} at its byte {error.start}") from error
        self.position += length
        return found

    def kind(self) -> int:
        """The next number, which stands for the type of a value."""
        if (kind := self.number("<u4")) not in {*NUMBERS, TEXT, ARRAY}:
            raise self.error(f"the value is of the unknown type {kind}")
        return kind

    def value(self, kind: int, depth: int = 0) -> Any:
        """The next value: a number, a text, or a list of those or of lists."""
        if kind in NUMBERS:
            return self.number(NUMBERS[kind])
        if kind == TEXT:
            return self.text()
        if depth == DEEPEST:
            raise self.error(f"lists lie more than {DEEPEST} deep in one another")
        kind, count = self.kind(), self.number("<u8")
        if kind in NUMBERS:
            return self.numbers(NUMBERS[kind], count)
        self.require(8 * count)  # each has a length at least
        return [self.value(kind, depth + 1) for _ in range(count)]
