"""GGUF files that the package `gguf` wrote are read as it reads them: weights to the bit, metadata by type."""

import numpy as np
import pytest

from llmbook.compression import read_gguf
from llmbook.compression.gguf import BLOCKS, dequantize

gguf = pytest.importorskip("gguf", reason="gguf is not installed")

KINDS = {name: gguf.GGMLQuantizationType[name] for name in BLOCKS}
HALVES = np.array([0.0, -0.0, 6e-8, 1e-5, -0.1, 1.5, 65504, np.inf, -np.inf, np.nan], dtype=np.float16)


def bits(weights):
    return np.asarray(weights).view(np.uint32)


@pytest.mark.parametrize("name", BLOCKS)
def test_any_bytes_are_the_same_weights(name):
    # also infinite scales and those below the smallest normal number
    rng, (block_size, blocks) = np.random.default_rng(0), BLOCKS[name]
    raw = np.frombuffer(rng.bytes(blocks.itemsize * 3000), dtype=blocks).copy()
    for field in {"scale", "least"} & set(blocks.names or ()):
        raw[field][:1000] = rng.choice(HALVES, 1000)
    with np.errstate(all="ignore"):  # they warn of an infinite scale
        theirs = gguf.dequantize(raw.view(np.uint8).reshape(3000, -1), KINDS[name])
    ours = dequantize(raw)
    assert ours.shape == ((3000, block_size) if blocks.names else (3000,))
    assert (bits(ours.reshape(-1)) == bits(theirs.reshape(-1))).all()


@pytest.mark.parametrize("alignment", [32, 64])
def test_a_written_file(tmp_path, alignment):
    rng, path = np.random.default_rng(0), tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_custom_alignment(alignment)
    writer.add_array("words", ["the", "词", "🙂"])
    writer.add_array("flags", [True, False])
    writer.add_array("nested", [[1, 2], [3]])
    writer.add_float32("eps", 1e-5)
    writer.add_int64("least", -(2**63))
    shapes = {"F32": (3, 5, 7), "F16": (4, 9), "Q4_1": (5, 96), "Q8_0": (2, 3, 64)}
    for name, shape in shapes.items():
        weights = rng.standard_normal(shape).astype(np.float16 if name == "F16" else np.float32)
        raw = gguf.quantize(weights, KINDS[name]) if "Q" in name else weights
        writer.add_tensor(f"blk.0.{name}", raw, raw_dtype=KINDS[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    ours, theirs = read_gguf(path), gguf.GGUFReader(path)
    expected = {key: field.contents() for key, field in theirs.fields.items() if not key.startswith("GGUF.")}
    assert ours.metadata == expected | {"nested": [[1, 2], [3]]}  # which their reader gives flat
    assert list(ours.tensors) == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        weights = ours.tensors[tensor.name]
        assert tuple(weights.shape) == shapes[tensor.name.removeprefix("blk.0.")]
        assert (bits(weights) == bits(gguf.dequantize(tensor.data, tensor.tensor_type))).all()
