"""Paths are found from where the code lies, in folders with spaces and Chinese too."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmbook import paths


def test_the_checkout_is_the_root_and_all_folders_lie_in_it():
    root = Path(__file__).parents[1]
    assert paths.root() == root
    assert paths.chapters_dir() == root / "chapters"
    assert paths.data_dir() == root / "data"
    assert paths.runs_dir() == root / "data" / "runs"
    assert paths.build_dir() == root / "build"
    assert paths.build_dir() in paths.cache_dir().parents


def test_the_first_folder_with_the_marker_wins(tmp_path):
    for name in ("a", "b 书", "c"):
        (tmp_path / name / "data").mkdir(parents=True)
    for name in ("b 书", "c"):
        (tmp_path / name / paths.MARKER).write_text("")
    assert paths.first_with_marker([tmp_path / "a", tmp_path / "b 书", tmp_path / "c"]) == tmp_path / "b 书"


@pytest.mark.parametrize("place", ["checkout", "environment"])
def test_another_place_with_spaces_and_chinese(tmp_path, place):
    """A copied checkout is its own root; an installed package (no marker above it) follows LLMBOOK_ROOT."""
    book, elsewhere = tmp_path / "我的 book", tmp_path / "site packages"
    (book / "data").mkdir(parents=True)
    (book / paths.MARKER).write_text("")
    package = (book / "src" if place == "checkout" else elsewhere) / "llmbook"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    shutil.copy(paths.__file__, package / "paths.py")
    # A root elsewhere in the environment does not move a checkout.
    environment = {"LLMBOOK_ROOT": str(book if place == "environment" else tmp_path), "PYTHONPATH": str(package.parent)}
    code = "import llmbook.paths as p; print(p.__file__); print(p.root())"
    command = [sys.executable, "-X", "utf8", "-c", code]
    output = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
    assert output.stdout.splitlines() == [str(package / "paths.py"), str(book)]


@pytest.mark.messages
def test_no_root_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match=r"data/MANIFEST.toml.*没有.*LLMBOOK_ROOT"):
        paths.first_with_marker([tmp_path / "没有"])
