"""A damaged file that came with the book is named, whichever it is."""

import sys
from pathlib import Path

import pytest
from small_book import forget

from llmbook import cli, paths
from llmbook.committed import read_json, read_toml

FILES = [
    "chapters/outline.json",
    "chapters/status.toml",
    "chapters/glossary.toml",
    "chapters/expected/01.claims.json",
    "chapters/lock/01-small.json",
    "chapters/references.bib",
]


@pytest.mark.parametrize("damage", [b'{"half": "a str', b"\xff\xfe\x00"], ids=["cut", "no UTF-8"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named_by_the_command(book: Path, monkeypatch, capsys, name: str, damage: bytes):
    path = paths.root() / name
    path.write_bytes(b"@article{half, title = {a str" if path.suffix == ".bib" and damage.isascii() else damage)
    forget()
    monkeypatch.setattr(sys, "argv", ["llmbook", "check", "1"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith(f"llmbook: {path} is damaged (")
    assert f"`git checkout -- {path}`" in said


def test_whole_files_and_a_lacking_key(tmp_path: Path):
    (tmp_path / "a.toml").write_text("x = [1]\n", encoding="utf-8")
    (tmp_path / "a.json").write_text("[1]", encoding="utf-8")
    assert read_toml(tmp_path / "a.toml") == {"x": [1]}
    assert read_toml(tmp_path / "a.toml", "x") == read_json(tmp_path / "a.json") == [1]
    with pytest.raises(ValueError, match=r"a\.toml is damaged \(it has no 'y'\)"):
        read_toml(tmp_path / "a.toml", "y")
