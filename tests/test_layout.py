"""The top level holds what the README names, and no leftovers."""

import subprocess
import sys

import pytest

from llmbook import paths

FILES = {
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "LICENSE-text",
    "Makefile",
    "README.md",
    "README.zh.md",
    "TEACHING.md",
    "TEACHING.zh.md",
}
FILES |= {"constraints.txt", "pyproject.toml"}
FOLDERS = {".ci", "chapters", "data", "exercises", "site", "src", "tests"}


def test_the_top_level_holds_what_it_should() -> None:
    root = paths.root()
    if not (root / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    found = {name.partition("/")[0] for name in listed.split("\0") if name}
    assert found <= FILES | FOLDERS


def test_an_unchanged_book_is_published_without_torch_and_without_what_takes_seconds_to_import() -> None:
    program = (
        "import sys, llmbook.edition.split, llmbook.execution.executing, llmbook.execution.holding, llmbook.site.publish;"
        "print(*{'torch', 'matplotlib', 'lark'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "\n"
