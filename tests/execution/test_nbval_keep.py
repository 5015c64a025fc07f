"""The plugin beside nbval: claims and budgets fail a notebook, and only what passed is kept."""

import subprocess
import sys
from pathlib import Path

import pytest

from llmbook import paths
from llmbook.book import expected
from llmbook.book.source import read
from llmbook.edition.book import Book
from llmbook.edition.split import split
from llmbook.execution.executing import run_chapter, stored_execution
from llmbook.execution.kept import execution_path

RUN = """
import sys
from pathlib import Path
import pytest
from llmbook import paths
from llmbook.execution import holding
paths.root = lambda: Path(sys.argv[1])
holding.MEMORY_ALLOWED_MB = float(sys.argv[2])
sys.exit(pytest.main(["-q", "--nbval", "-p", "llmbook.execution.nbval_keep", "--rootdir", sys.argv[1],
    sys.argv[1] + "/build/notebooks/zh"]))
"""


def nbval(memory_allowed: float = 5000) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, str(paths.root()), str(memory_allowed)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)


@pytest.fixture
def expecting(book: Path) -> Path:
    """The book with the outputs of its cells stored as the expected ones."""
    source = read(book)
    expected.store_expected(source, run_chapter(source).outputs)
    return book


def test_a_notebook_that_passes_is_kept(expecting: Path):
    split(Book.read())
    done = nbval()
    assert done.returncode == 0, done.stdout
    kept = stored_execution(read(expecting))
    assert kept is not None
    printing = next(cell.id for cell in read(expecting).code() if cell.tag == "derive")
    assert kept.outputs[printing][0]["text"] == "8.0\n"
    assert kept.peak_mb > 20


def test_the_value_of_a_line_that_ends_in_a_semicolon_is_not_kept(expecting: Path):
    text = expecting.read_text(encoding="utf-8")
    claim = next(line for line in text.splitlines() if line.startswith("claim("))
    expecting.write_text(text.replace(claim, f"{claim}\nmath.sqrt(9);"), encoding="utf-8")
    split(Book.read())
    done = nbval()
    assert done.returncode == 0, done.stdout
    kept = stored_execution(read(expecting))
    assert kept is not None
    kinds = [output["output_type"] for outputs in kept.outputs.values() for output in outputs]
    assert "display_data" in kinds
    assert "execute_result" not in kinds
    assert kept.outputs == run_chapter(read(expecting)).outputs


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("math.sqrt(64)", "math.sqrt(81)", None),
        ("8.0, at_least=7.0", "6.0, at_least=7.0", "claim 1.1.1/ratio is 6, its bound is ≥ 7"),
        ("math.sqrt(64)", "math.sqrt(-64)", "math domain error"),
    ],
)
def test_another_output_a_broken_claim_a_failing_cell_fail_and_are_not_kept(
    expecting: Path, old: str, new: str, said: str | None
):
    split(Book.read())
    for notebook in (paths.build_dir() / "notebooks").glob("*/*.ipynb"):
        notebook.write_text(notebook.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    done = nbval()
    assert done.returncode == 1
    assert said is None or said in done.stdout
    assert not execution_path("01-small").exists()


def test_a_chapter_over_its_budget_fails(expecting: Path):
    split(Book.read())
    done = nbval(memory_allowed=1)
    assert done.returncode == 1
    assert "its budget is 1 MB" in done.stdout
    assert not execution_path("01-small").exists()
