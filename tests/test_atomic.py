"""A file is written whole or not at all."""

import os
from pathlib import Path

import pytest

from llmbook.atomic import write_text


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
