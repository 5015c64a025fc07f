"""One execution: its key, its outputs in both languages, failing cells, broken claims, budgets."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from llmbook import closure, drawing, paths
from llmbook.book import expected
from llmbook.book.source import read
from llmbook.drawing import FONT, SVG
from llmbook.edition import split
from llmbook.edition.book import Book
from llmbook.edition.split import reader_notebook, site_notebook
from llmbook.execution import executing, holding, kept
from llmbook.execution.executing import ChapterError, run_chapter, stored_execution
from llmbook.execution.kept import Execution
from llmbook.site import publish

FONT_FILE = paths.data_dir() / FONT

ENTRY = '[[file]]\npath = "poems/one.txt"\nsha256 = "0"\n'


@pytest.fixture
def executed(book: Path) -> Execution:
    done = run_chapter(read(book))
    kept.store(done)
    return done


def test_an_execution_is_kept_until_something_it_depends_on_changes(book: Path, executed: Execution):
    assert stored_execution(read(book)) == executed
    text = book.read_text(encoding="utf-8")
    book.write_text(text.replace("# 第一章：小书", "# 第一章：小书\n\n多一句。"), encoding="utf-8")
    book.write_text(text.replace("# Chapter 1: A small book", "# Chapter 1: A small book\n"), encoding="utf-8")
    assert stored_execution(read(book)) == executed, "prose is no part of the key"
    added = '+++ {"lang": "zh"}\n\n又一段。\n\n+++ {"lang": "en"}\n\nOne more.\n\n'
    book.write_text(text.replace("+++ {", added + "+++ {", 1), encoding="utf-8")
    assert stored_execution(read(book)) == executed, "nor is the place of a cell"
    (paths.root() / "data" / "MANIFEST.toml").write_text(ENTRY, encoding="utf-8")
    assert stored_execution(read(book)) == executed, "nor are files that no code of the chapter names"
    book.write_text(text.replace("math.sqrt(64)", "math.sqrt(81)"), encoding="utf-8")
    assert stored_execution(read(book)) is None
    book.write_text(text, encoding="utf-8")
    (paths.root() / "constraints.txt").write_text("torch==0", encoding="utf-8")
    assert stored_execution(read(book)) is None


def test_the_key_covers_the_modules_data_and_recorded_runs_that_the_cells_reach(
    book: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = 'vendored("poems/one.txt"), recorded("walk")'
    book.write_text(book.read_text(encoding="utf-8").replace("print(math.sqrt(64))", reading), encoding="utf-8")
    runs = paths.chapters_dir() / "runs"
    for name in ("walk", "other"):
        runs.mkdir(exist_ok=True)
        (runs / f"{name}.py").write_text('"""Steps."""\nSEEDS = (0,)\n', encoding="utf-8")
    before = kept.execution_key(read(book))
    (paths.root() / "data" / "MANIFEST.toml").write_text(ENTRY, encoding="utf-8")
    with_data = kept.execution_key(read(book))
    assert with_data != before
    paths.runs_dir().mkdir()
    (paths.runs_dir() / "other.jsonl").write_text('{"seed": 0}\n', encoding="utf-8")
    (runs / "other.py").write_text("SEEDS = (1,)\n", encoding="utf-8")
    assert kept.execution_key(read(book)) == with_data, "another chapter's run"
    (runs / "walk.py").write_text('"""Steps, told better."""\nSEEDS = (0,)\n', encoding="utf-8")
    assert kept.execution_key(read(book)) == with_data, "a docstring"
    (paths.runs_dir() / "walk.jsonl").write_text('{"seed": 0, "fingerprint": "a"}\n', encoding="utf-8")
    with_receipt = kept.execution_key(read(book))
    assert with_receipt != with_data
    (paths.runs_dir() / "walk.jsonl").write_text('{"seed": 0, "fingerprint": "b"}\n', encoding="utf-8")
    assert kept.execution_key(read(book)) == with_receipt, "an approved receipt holds the same numbers"
    (paths.runs_dir() / "walk.rates.jsonl").write_text('{"seed": 7, "fingerprint": "b"}\n', encoding="utf-8")
    assert kept.execution_key(read(book)) != with_receipt, "the sweep of its rates"
    (paths.runs_dir() / "walk.rates.jsonl").unlink()
    (runs / "walk.py").write_text("SEEDS = (0, 1)\n", encoding="utf-8")
    assert kept.execution_key(read(book)) != with_receipt
    before = kept.execution_key(read(book))
    shutil.copytree(
        closure.PACKAGES / "llmbook", tmp_path / "src/llmbook", ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(closure, "PACKAGES", tmp_path / "src")
    assert kept.execution_key(read(book)) == before
    with (tmp_path / "src/llmbook/notebook/claims.py").open("a", encoding="utf-8") as file:
        file.write("MORE = 1\n")
    closure._module_fingerprint.cache_clear()
    assert kept.execution_key(read(book)) != before


def test_what_show_prints_is_renewed_alone(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "```{code-cell} ipython3\n:tags: [show]\n\nprint(math.pi)\n```\n\n```{code-cell} ipython3\n:tags: [derive]"
    text = book.read_text(encoding="utf-8").replace("```{code-cell} ipython3\n:tags: [derive]", shown)
    book.write_text(text, encoding="utf-8")
    done = run_chapter(read(book))
    marked = {cell: [{"output_type": "stream", "name": "stdout", "text": "old\n"}] for cell in done.outputs}
    kept.store(replace(done, outputs=marked))
    renewed = stored_execution(read(book))
    assert renewed is not None
    assert all(outputs == marked[cell] for cell, outputs in renewed.outputs.items()), "nothing has changed"
    monkeypatch.setattr(executing, "shown_key", lambda source: "of another docstring")
    renewed = stored_execution(read(book))
    assert renewed is not None
    texts = {cell.tag: renewed.outputs[cell.id][0]["text"] for cell in read(book).code()}
    assert texts == {"setup": "old\n", "show": "3.141592653589793\n", "derive": "old\n", "run": "old\n"}
    assert kept.read_execution("01-small") == renewed


def test_both_languages_take_the_outputs_of_the_one_execution(book: Path, executed: Execution):
    publish.publish_notebooks(Book.read(), [(read(book), executed)])
    notebooks = [nbformat.read(paths.build_dir() / "executed" / lang / "01-small.ipynb", 4) for lang in ("zh", "en")]
    outputs = [[cell.outputs for cell in notebook.cells if cell.cell_type == "code"] for notebook in notebooks]
    assert outputs[0] == outputs[1]
    assert outputs[0][1][0].text == "8.0\n"
    for notebook in notebooks:
        nbformat.validate(notebook)


def test_seconds_and_memory_are_recorded_and_held_to_the_budget(book: Path, executed: Execution):
    assert 0 < executed.total_seconds < 60
    assert 20 < executed.peak_mb < 5000
    assert holding.budget_complaints(read(book), executed) == []
    slow = replace(executed, seconds={"01-0000": 181.0}, peak_mb=5001.0, slowness=[0.5, 1.0])
    assert len(holding.budget_complaints(read(book), slow)) == 2
    elsewhere = replace(executed, seconds={"01-0000": 359.0}, slowness=[1.5, 2.5])
    assert holding.budget_complaints(read(book), elsewhere) == [], "on a machine that is half as fast"
    (complaint,) = holding.budget_complaints(read(book), replace(elsewhere, seconds={"01-0000": 361.0}))
    assert (
        complaint
        == "01-small took 361 s on a machine 2.00 times as slow as that of reference; its budget there is 180 s"
    )


@pytest.mark.parametrize(
    ("value", "slowness", "complains"), [(4.9, [1.0], True), (4.9, [1.0, 1.3], False), (3.0, [1.3], True)]
)
def test_the_bounds_of_a_timing_widen_with_the_slowness_of_the_machine(
    value: float, slowness: list[float], complains: bool
) -> None:
    claim = {"id": "a", "values": [value], "timing": True, "at_least": 5.0, "at_most": 7.0, "equals": None}
    claim |= {"tolerance": None, "holds": False, "text": str(value), "bound": "≥ 5 ∧ ≤ 7"}
    done = Execution("01", "", "", {}, {}, 0.0, slowness)
    assert bool(holding.claim_complaint(claim, claim, slack=done.slack)) == complains
    assert holding.claim_complaint(claim | {"timing": False}, claim, slack=done.slack)


def test_a_broken_claim_is_a_complaint_and_marked_in_the_table(book: Path):
    text = book.read_text(encoding="utf-8").replace("8.0, at_least=7.0", "6.0, at_least=7.0")
    book.write_text(text, encoding="utf-8")
    source = read(book)
    done = run_chapter(source)
    (complaint,) = holding.claim_complaints(source, done)
    assert complaint == "claim 1.1.1/ratio is 6, its bound is ≥ 7"
    (row,) = publish.claim_rows(source, done)
    assert (row["text"], row["bound"], row["differs"]) == ("6", "≥ 7", True)


def test_what_is_published_quotes_the_execution_beside_it_and_what_is_to_be_run_the_stored_values(book: Path):
    text = book.read_text(encoding="utf-8").replace("8.0, at_least=7.0", "7.25, at_least=7.0")
    book.write_text(text, encoding="utf-8")
    source, whole = read(book), Book.read()
    outputs = run_chapter(source).outputs
    for lang, sentence in (("zh", "测得的比值是 {}，共"), ("en", "The measured ratio is {}, over")):
        to_run = reader_notebook(whole, source, lang)
        executed = reader_notebook(whole, source, lang, outputs)
        site = site_notebook(whole, source, lang, outputs)
        for notebook, value in ((to_run, "8"), (executed, "7.25"), (site, "7.25")):
            assert sentence.format(value) in "\n".join(cell.source for cell in notebook.cells)


def test_a_figure_speaks_the_language_of_its_edition_and_a_missing_label_is_a_complaint(
    book: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(holding, "vendored", lambda name: FONT_FILE)
    monkeypatch.setattr(split, "vendored", lambda name: FONT_FILE)
    text = book.read_text(encoding="utf-8")
    labelled = "tags: [run]\nlabels: {zh: {layers: 层数}, en: {损失: loss}}\n"
    book.write_text(text.replace("tags: [run]\n", labelled), encoding="utf-8")
    source, whole = read(book), Book.read()
    drawn = {"output_type": "display_data", "metadata": {}}
    drawn["data"] = {SVG: '<svg xmlns="http://www.w3.org/2000/svg"><text>layers</text><text>损失</text></svg>'}
    outputs = {cell.id: [drawn] if cell.tag == "run" else [] for cell in source.code()}
    for lang, words in (("zh", ["层数", "损失"]), ("en", ["layers", "loss"])):
        for make in (reader_notebook, site_notebook):
            (shown,) = [
                output for cell in make(whole, source, lang, outputs).cells for output in cell.get("outputs", [])
            ]
            assert drawing.words(shown["data"][SVG]) == words
            assert "@font-face" in shown["data"][SVG]
    done = Execution("01-small", "", "", outputs, {}, 0.0, [1.0])
    assert holding.label_complaints(source, done) == []
    book.write_text(text, encoding="utf-8")
    (complaint,) = holding.label_complaints(read(book), replace(done, outputs=outputs))
    assert complaint.endswith("no label for 'layers'")


def test_a_claim_that_left_its_tolerance_or_vanished_is_a_complaint(book: Path):
    stored = expected.expected_claims(read(book))["1.1.1/ratio"]
    near = {**stored, "values": [8.05], "text": "8.05", "tolerance": 0.1}
    far = {**stored, "values": [8.5], "text": "8.50", "tolerance": 0.1}
    assert holding.claim_complaint(near, stored) is None
    assert "stored is 8, tolerance 0.1" in str(holding.claim_complaint(far, stored))
    assert "not stored" in str(holding.claim_complaint(near, None))
    nothing = Execution("01-small", "", "", {}, {}, 0.0, [1.0])
    assert holding.claim_complaints(read(book), nothing) == ["claim 1.1.1/ratio is stored but no cell makes it"]


def test_expected_is_renewed_and_the_difference_told(book: Path, executed: Execution):
    source = read(book)
    assert expected.store_expected(source, executed.outputs) == [f"{source.code()[1].id}: printed text changed"]
    assert expected.store_expected(source, executed.outputs) == []
    stored = json.loads((book.parent / "expected" / "01.outputs.json").read_text(encoding="utf-8"))
    assert [output["text"] for outputs in stored.values() for output in outputs] == ["8.0\n"]
    book.write_text(book.read_text(encoding="utf-8").replace("8.0, at_least", "9.0, at_least"), encoding="utf-8")
    assert expected.store_expected(read(book), run_chapter(read(book)).outputs) == ["1.1.1/ratio: 8 → 9"]


def test_a_broken_claim_is_not_stored_and_a_timing_stays_as_it_was(book: Path):
    text = book.read_text(encoding="utf-8")
    timed = text.replace("8.0, at_least=7.0", "8.0, at_least=7.0, timing=True")
    for value, at_least, stays in (("8.0", "7.0", 8.0), ("9.0", "7.0", 8.0), ("9.0", "7.5", 9.0)):
        book.write_text(timed.replace("8.0, at_least=7.0", f"{value}, at_least={at_least}"), encoding="utf-8")
        expected.store_expected(read(book), run_chapter(read(book)).outputs)
        assert expected.expected_claims(read(book))["1.1.1/ratio"]["values"] == [stays]
    book.write_text(text.replace("8.0, at_least=7.0", "6.0, at_least=7.0"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"claim 1\.1\.1/ratio is 6, its bound is ≥ 7\nnothing is stored"):
        expected.store_expected(read(book), run_chapter(read(book)).outputs)
    assert expected.expected_claims(read(book))["1.1.1/ratio"]["values"] == [9.0]


def test_progress_bars_are_not_kept():
    bar = {"output_type": "stream", "name": "stderr", "text": "\r 50%|█"}
    warning = {"output_type": "stream", "name": "stderr", "text": "careful\n"}
    widget = {"output_type": "display_data", "data": {executing.WIDGET_TYPE: {}, "text/plain": "0/700"}, "metadata": {}}
    assert executing.without_progress([bar, warning, widget]) == [warning]


@pytest.mark.messages
def test_a_failing_cell_is_named_and_nothing_is_kept(book: Path):
    text = book.read_text(encoding="utf-8").replace("print(math.sqrt(64))", "print(math.sqrt(-1))")
    book.write_text(text, encoding="utf-8")
    with pytest.raises(ChapterError, match=r"cell 01-[0-9a-f]{8} \(print\(math\.sqrt\(-1\)\)\) failed"):
        run_chapter(read(book))
    assert not kept.execution_path("01-small").exists()
