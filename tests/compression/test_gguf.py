"""Files made by hand are read to the bit; damaged ones are refused with the place, whatever they announce."""

import struct
import tracemalloc
from random import Random

import pytest
import torch

from llmbook.compression import GGUF, read_gguf

U8, I8, U16, I16, U32, I32, F32, BOOL, TEXT, ARRAY, U64, I64, F64 = range(13)
OF_F32, OF_F16, OF_Q4_1, OF_Q8_0, OF_Q4_K = 0, 1, 3, 8, 12


def text(content):
    raw = content if isinstance(content, bytes) else content.encode()
    return struct.pack("<Q", len(raw)) + raw


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + value


def array(kind, count, values):
    return struct.pack("<IQ", kind, count) + values


def info(name, shape, kind, offset):
    """What stands of a tensor before the data, its sizes from the innermost on."""
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), kind, offset)


def content(entries=(), infos=(), data=b"", *, version=3, alignment=32, counts=None):
    num_tensors, num_entries = counts or (len(infos), len(entries))
    before = struct.pack("<4sIQQ", b"GGUF", version, num_tensors, num_entries) + b"".join([*entries, *infos])
    return before + bytes(-len(before) % alignment) + data


def q4_1(scale, least, codes):
    """A block: the low halves of its bytes are codes 0 to 15, the high ones 16 to 31."""
    return struct.pack(
        "<ee16B", scale, least, *(low | high << 4 for low, high in zip(codes[:16], codes[16:], strict=True))
    )


def q8_0(scale, codes):
    return struct.pack("<e32b", scale, *codes)


@pytest.fixture
def read(tmp_path):
    def of(raw):
        (tmp_path / "模型.gguf").write_bytes(raw)
        return read_gguf(str(tmp_path / "模型.gguf"))

    return of


UP, DOWN = list(range(16)) * 2, [15 - code for code in range(16)] + [3] * 16
BLOCKS = q4_1(0.5, -1.0, UP) + q4_1(2.0, 0.25, DOWN)
SMALL = content(
    [entry("general.name", TEXT, text("小")), entry("a.list", ARRAY, array(TEXT, 2, text("x") + text("yz")))],
    [
        info("q4", [2, 32], OF_Q4_1, 0),
        info("q8", [32], OF_Q8_0, 64),
        info("half", [2, 3], OF_F16, 128),
        info("full", [3, 1, 2], OF_F32, 160),
    ],
    BLOCKS.ljust(64, b"\0")
    + q8_0(0.25, range(-16, 16)).ljust(64, b"\0")
    + struct.pack("<6e", *range(6)).ljust(32, b"\0")
    + struct.pack("<6f", 0.1, 1, 2, 3, 4, -5),
)


def test_weights_by_hand_with_sizes_in_pytorchs_order(read):
    found = read(SMALL).tensors
    first, second = [0.5 * code - 1 for code in UP], [2 * code + 0.25 for code in DOWN]
    assert found["q4"].tolist() == [first, second]
    assert found["q8"].tolist() == [0.25 * code for code in range(-16, 16)]
    assert found["half"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert torch.equal(found["full"], torch.tensor([[[0.1, 1]], [[2, 3]], [[4, -5]]]))
    assert list(found) == ["q4", "q8", "half", "full"]
    assert all(weights.dtype == torch.float32 for weights in found.values())


def test_weights_are_the_callers_and_the_file_stays(read, tmp_path):
    for weights in read(SMALL).tensors.values():
        weights.fill_(7)
    assert (tmp_path / "模型.gguf").read_bytes() == SMALL


def test_metadata_of_every_type(read):
    numbers = {U8: ("B", 200), I8: ("b", -2), U16: ("H", 60_000), I16: ("h", -3), U32: ("I", 2**32 - 1), I32: ("i", -4)}
    numbers |= {F32: ("f", 0.5), BOOL: ("?", True), U64: ("Q", 2**64 - 1), I64: ("q", -(2**63)), F64: ("d", 0.1)}
    entries = [entry(f"n.{kind}", kind, struct.pack(f"<{code}", value)) for kind, (code, value) in numbers.items()]
    entries += [
        entry(f"l.{kind}", ARRAY, array(kind, 2, struct.pack(f"<2{code}", value, value)))
        for kind, (code, value) in numbers.items()
    ]
    nested = array(U8, 2, b"\1\2") + array(TEXT, 1, text("中")) + array(ARRAY, 1, array(BOOL, 1, b"\0"))
    entries += [
        entry("text", TEXT, text("你好 🙂\0")),
        entry("", TEXT, text("")),
        entry("empty", ARRAY, array(F32, 0, b"")),
        entry("nested", ARRAY, array(ARRAY, 3, nested)),
    ]
    expected = {f"n.{kind}": value for kind, (_, value) in numbers.items()}
    expected |= {f"l.{kind}": [value, value] for kind, (_, value) in numbers.items()}
    expected |= {"text": "你好 🙂\0", "": "", "empty": [], "nested": [[1, 2], ["中"], [[False]]]}
    found = read(content(entries)).metadata
    assert found == expected
    assert {key: type(value) for key, value in found.items()} == {key: type(value) for key, value in expected.items()}


def test_version_2_is_read_alike(read):
    changed = bytearray(SMALL)
    changed[4] = 2
    second, third = read(bytes(changed)), read(SMALL)
    assert second.metadata == third.metadata
    assert all(torch.equal(second.tensors[name], weights) for name, weights in third.tensors.items())


def test_an_alignment_of_its_own_a_scalar_and_no_tensors(read):
    own = entry("general.alignment", U32, struct.pack("<I", 128))
    infos = [info("scalar", [], OF_F32, 0), info("next", [1], OF_F32, 128)]
    data = struct.pack("<f", 7).ljust(128, b"\0") + struct.pack("<f", 8)
    found = read(content([own], infos, data, alignment=128)).tensors
    assert (found["scalar"].shape, found["scalar"].item(), found["next"].tolist()) == (torch.Size([]), 7, [8])
    assert read(content()) == GGUF({}, {})


def test_tensors_may_lie_in_any_order_and_apart(read):
    infos = [info("late", [1], OF_F32, 96), info("early", [1], OF_F32, 0)]
    found = read(content([], infos, struct.pack("<f", 1).ljust(96, b"\0") + struct.pack("<f", 2))).tensors
    assert (found["late"].item(), found["early"].item()) == (2, 1)


F = struct.pack("<f", 1.0)
AT_0 = info("w", [1], OF_F32, 0)
ALIGNED = "general.alignment"
DEEP = array(ARRAY, 1, array(ARRAY, 1, array(ARRAY, 1, array(ARRAY, 1, array(U8, 1, b"\0")))))
DAMAGED = {
    "empty": (b"", r"byte 0, header: it begins with b''; expected b'GGUF'"),
    "foreign": (b"PK\3\4" + bytes(90), r"it begins with b'PK"),
    "only the magic": (b"GGUF", r"byte 4, header: at least 4 bytes should follow, but 0 do"),
    "version 1": (content(version=1), r"the version is 1; expected 2 or 3"),
    "big-endian": (b"GGUF\0\0\0\3" + bytes(16), r"the version is 50331648; expected 2 or 3, little-endian"),
    "many tensors": (content(counts=(2**60, 0)), rf"header: at least {24 * 2**60} bytes should follow, but 8 do"),
    "many entries": (content(counts=(0, 2**64 - 1)), r"header: at least \d+ bytes should follow, but 8 do"),
    "a long key": (content([struct.pack("<Q", 2**63) + bytes(30)]), r"entry 0: at least 9223372036854775808 bytes"),
    "a key twice": (content([entry("a", U8, b"\1")] * 2), r"metadata 'a': this key stands here a second time"),
    "a value's type": (content([entry("k", 13, bytes(20))]), r"metadata 'k': the value is of the unknown type 13"),
    "an element's type": (content([entry("k", ARRAY, array(99, 0, bytes(9)))]), r"'k': the value is of the unknown type 99"),
    "a long text": (content([entry("k", TEXT, struct.pack("<Q", 99))]), r"metadata 'k': at least 99 bytes should"),
    "many numbers": (content([entry("k", ARRAY, array(F64, 2**61, bytes(9)))]), rf"at least {2**64} bytes should"),
    "many texts": (content([entry("k", ARRAY, array(TEXT, 2**61, bytes(9)))]), rf"at least {2**64} bytes should"),
    "lists in lists": (content([entry("k", ARRAY, DEEP)]), r"lists lie more than 4 deep in one another"),
    "a text": (content([entry("k", TEXT, text(b"ab\xff"))]), r"'k': the text is no UTF-8: invalid start byte at its byte 2"),
    "a key": (content([entry(b"\xe4\xb8", U8, b"\1")]), r"metadata entry 0: the text is no UTF-8"),
    "a name": (content([], [info(b"\xc0", [1], OF_F32, 0)], F), r"tensor 0: the text is no UTF-8"),
    "an alignment of 0": (content([entry(ALIGNED, U32, bytes(4))]), r"general.alignment is 0; expected a power of 2"),
    "an alignment of 24": (content([entry(ALIGNED, U8, b"\x18")]), r"general.alignment is 24; expected a power of 2"),
    "a text as alignment": (content([entry(ALIGNED, TEXT, text("32"))]), r"general.alignment is '32'"),
    "a name twice": (content([], [AT_0, AT_0], F), r"tensor 'w': a tensor of this name was there before"),
    "dimensions": (content([], [info("w", [1] * 5, OF_F32, 0)], F), r"'w': it has 5 dimensions; expected at most 4"),
    "many dimensions": (content([], [text("w") + struct.pack("<IQQ", 2**32 - 1, 1, 1)], F), r"it has 4294967295 dim"),
    "a size of 0": (content([], [info("w", [2, 0], OF_F32, 0)], F), r"'w': its shape is \[2, 0\]; .* none 0"),
    "half a block": (content([], [info("w", [2, 48], OF_Q8_0, 0)], bytes(99)), r"\[2, 48\]; .* a multiple of 32"),
    "half a block of a scalar": (content([], [info("w", [], OF_Q4_1, 0)], bytes(99)), r"\[\]; .* a multiple of 32"),
    "Q4_K": (content([], [info("w", [256], OF_Q4_K, 0)], bytes(144)), r"'w': its blocks are of type Q4_K; expected one of F32,"),
    "type 77": (content([], [info("w", [1], 77, 0)], F), r"its blocks are of type 77"),
    "not aligned": (content([], [info("w", [1], OF_F32, 4)], F * 2), r"'w': its data begin at 4; expected a multiple of 32"),
    "cut data": (content([], [AT_0], F[:3]), r"the data of tensor 'w': they end at byte 68; the file has 67 bytes"),
    "far away": (content([], [info("w", [1], OF_F32, 2**63)], F), r"of tensor 'w': they end at byte 9223372036854775876"),
    "a large tensor": (content([], [info("w", [2**40, 2**40], OF_F32, 0)], F), r"they end at byte \d{25}; the file has 100"),
    "overlapping": (
        content([], [info("a", [9], OF_F32, 0), info("b", [1], OF_F32, 32)], F * 9),
        r"data of tensor 'b': those of 'a' end only at byte",
    ),
}  # fmt: skip


@pytest.mark.messages
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_with_the_place(read, name):
    raw, message = DAMAGED[name]
    with pytest.raises(ValueError, match=rf"模型.gguf, byte \d+, .*{message}" if "header" not in message else message):
        read(raw)


@pytest.mark.messages
def test_a_missing_file_is_the_systems_matter(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.gguf"):
        read_gguf(tmp_path / "no.gguf")


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


def outcome(read, raw):
    """What reading gives: the contents, or the ValueError; any other exception fails the test, and so does a megabyte."""
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    try:
        return read(raw)
    except ValueError as error:
        return error
    finally:
        assert tracemalloc.get_traced_memory()[1] - before < 2**20


@pytest.mark.messages
def test_a_file_cut_anywhere_is_refused(read, traced):
    for length in Random(0).sample(range(len(SMALL)), 200):
        assert "模型.gguf, byte " in str(outcome(read, SMALL[:length]))


@pytest.mark.messages
def test_a_changed_byte_is_noticed_or_harmless(read, traced):
    rng, outcomes = Random(0), []
    for _ in range(300):
        changed = bytearray(SMALL)
        changed[rng.randrange(len(SMALL))] ^= 1 << rng.randrange(8)
        outcomes.append(outcome(read, bytes(changed)))
    refused = [error for error in outcomes if isinstance(error, ValueError)]
    assert all("模型.gguf, byte " in str(error) for error in refused)
    assert 50 < len(refused) < 250
