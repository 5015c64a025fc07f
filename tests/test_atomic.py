"""A file is written whole or not at all."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmbook import paths
from llmbook.atomic import replacing, write_text

os.umask(UMASK := os.umask(0))


def test_a_new_file_and_an_unchanged_one(tmp_path: Path):
    path = tmp_path / "一个 folder" / "file.txt"
    assert write_text(path, "词") is True
    before = path.stat().st_mtime_ns
    assert write_text(path, "词") is False
    assert path.stat().st_mtime_ns == before
    assert path.read_text(encoding="utf-8") == "词"


def test_a_crash_leaves_the_old_file_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def crash(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="disk full"):
        write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_what_a_block_writes_takes_the_place_of_the_file_only_at_its_end(tmp_path: Path):
    path = tmp_path / "新 folder" / "file.bin"
    with replacing(path) as new:
        new.write_bytes(b"\xff\x00")
        assert not path.exists()
    assert path.read_bytes() == b"\xff\x00"
    with pytest.raises(OSError, match="No space"), replacing(path) as new:  # noqa: PT012
        new.write_bytes(b"half")
        raise OSError("No space left on device")
    assert path.read_bytes() == b"\xff\x00"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]
    assert write_text(path, "text in place of what is none") is True
    assert path.stat().st_mode & 0o777 == 0o666 & ~UMASK


def test_text_that_has_no_bytes_leaves_the_old_file(tmp_path: Path):
    path = tmp_path / "file.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


ELSEWHERE = {
    ("data/archives.py", "unpack"): "into a fresh folder that `fetched` renames whole",
    ("grading/cgroup.py", "make_group"): "the kernel's control files, which are no files",
    ("grading/handing_in.py", "_run"): "a temporary folder of one check",
    ("grading/judging.py", "turn"): "locks, which hold nothing",
    ("grading/judging.py", "_judge"): "a temporary folder of one judge",
    ("grading/sandbox.py", "__init__"): "a temporary folder of one kernel",
    ("grading/sandbox.py", "_guest"): "a temporary folder of one kernel",
    ("grading/sandbox.py", "_start"): "a temporary folder of one kernel",
    ("site/build.py", "_publish"): "into a fresh folder that is renamed whole",
    ("site/archive.py", "archive"): "into a fresh folder that is renamed whole",
}
WRITING = {"write_text", "write_bytes", "save_file", "savefig", "savez", "savez_compressed", "dump", "tofile"}
WRITING |= {"copy", "copy2", "copyfile", "copytree"}
MODULES = {"np", "nbformat", "torch", "plt", "pickle"}


def writes(call: ast.Call) -> bool:
    """Whether a call puts something into a file, as far as its name and its mode tell."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    module = owner.id if isinstance(owner, ast.Name) else ""
    if name in {"open", "fdopen", "ZipFile", "TarFile", "GzipFile"}:
        said = [*call.args, *(keyword.value for keyword in call.keywords)]
        modes = [value.value for value in said if isinstance(value, ast.Constant) and isinstance(value.value, str)]
        return any(set(mode) <= set("rwxabt+") and set(mode) & set("wxa+") for mode in modes)
    if name in {"save", "write"}:
        return module in MODULES
    if name.startswith("copy"):
        return module == "shutil" and name in WRITING
    return name in WRITING and not (name == "write_text" and owner is None)  # that is the one of `atomic`


def written_places(tree: ast.AST, function: str = "", names: frozenset[str] = frozenset()) -> Iterator[tuple[str, int]]:
    """Function and line of each call that writes, those in a block of `replacing` with what it gives excepted."""
    for node in ast.iter_child_nodes(tree):
        inner, known = function, names
        if isinstance(node, ast.FunctionDef):
            inner = node.name
        if isinstance(node, ast.With):
            known |= {
                item.optional_vars.id
                for item in node.items
                if isinstance(item.context_expr, ast.Call)
                and getattr(item.context_expr.func, "id", "") == "replacing"
                and isinstance(item.optional_vars, ast.Name)
            }
        if isinstance(node, ast.Call) and writes(node):
            used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            if not used & known:
                yield function, node.lineno
        yield from written_places(node, inner, known)


def test_everything_else_of_the_package_writes_this_way():
    root = paths.root() / "src" / "llmbook"
    found = {}
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        for function, line in written_places(ast.parse(path.read_text(encoding="utf-8"))):
            if name != "atomic.py":
                found.setdefault((name, function), []).append(line)
    assert {place: lines for place, lines in found.items() if place not in ELSEWHERE} == {}
    assert ELSEWHERE.keys() == found.keys()


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("path.write_text(x)\nwrite_text(path, x)\nPath(p).write_bytes(x)", 2),
        ("open(p)\nopen(p, 'rb')\nopen(p, 'w')\npath.open('xb')\npath.open(mode='a')\nos.fdopen(h, 'wb')", 4),
        ("save_file(x, p)\nnp.save(p, x)\nnbformat.write(b, p)\nfile.write(x)\nfigure.savefig(p)", 4),
        ("shutil.copyfile(a, b)\nx.copy()\ncopy.copy(x)", 1),
        ("with replacing(path) as new:\n    save_file(x, new)\n    new.write_text(x)\n    path.write_text(x)", 1),
        ("with replacing(path) as new, new.open('w') as file:\n    file.write(x)", 0),
    ],
)
def test_what_counts_as_writing(source: str, number: int):
    assert len(list(written_places(ast.parse(source)))) == number
