"""One execution: its key, its outputs in both languages, failing cells, broken claims, budgets."""

import json
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from llmbook import paths
from llmbook.course import execute, expected, publish
from llmbook.course.execute import ChapterError, Execution, run_chapter
from llmbook.course.source import read


@pytest.fixture
def executed(book: Path) -> Execution:
    done = run_chapter(read(book))
    execute.store(done)
    return done


def test_an_execution_is_kept_until_something_it_depends_on_changes(book: Path, executed: Execution):
    assert execute.stored_execution(read(book)) == executed
    text = book.read_text(encoding="utf-8")
    book.write_text(text.replace("# 第一章：小书", "# 第一章：小书\n\n多一句。"), encoding="utf-8")
    book.write_text(text.replace("# Chapter 1: A small book", "# Chapter 1: A small book\n"), encoding="utf-8")
    assert execute.stored_execution(read(book)) == executed, "prose is no part of the key"
    book.write_text(text.replace("math.sqrt(64)", "math.sqrt(81)"), encoding="utf-8")
    assert execute.stored_execution(read(book)) is None
    book.write_text(text, encoding="utf-8")
    (paths.root() / "constraints.txt").write_text("torch==0", encoding="utf-8")
    assert execute.stored_execution(read(book)) is None


def test_both_languages_take_the_outputs_of_the_one_execution(book: Path, executed: Execution):
    publish.publish_notebooks([(read(book), executed)])
    notebooks = [nbformat.read(paths.build_dir() / "executed" / lang / "01-small.ipynb", 4) for lang in ("zh", "en")]
    outputs = [[cell.outputs for cell in notebook.cells if cell.cell_type == "code"] for notebook in notebooks]
    assert outputs[0] == outputs[1]
    assert outputs[0][1][0].text == "8.0\n"
    for notebook in notebooks:
        nbformat.validate(notebook)


def test_seconds_and_memory_are_recorded_and_held_to_the_budget(book: Path, executed: Execution):
    assert 0 < executed.total_seconds < 60
    assert 20 < executed.peak_mb < 5000
    assert execute.budget_complaints(read(book), executed) == []
    slow = replace(executed, seconds={"01-0000": 181.0}, peak_mb=5001.0)
    assert len(execute.budget_complaints(read(book), slow)) == 2


def test_a_broken_claim_is_a_complaint_and_marked_in_the_table(book: Path):
    text = book.read_text(encoding="utf-8").replace("8.0, at_least=7.0", "6.0, at_least=7.0")
    book.write_text(text, encoding="utf-8")
    source = read(book)
    done = run_chapter(source)
    (complaint,) = execute.claim_complaints(source, done.outputs)
    assert complaint == "claim 1.1.1/ratio is 6, its bound is ≥ 7"
    (row,) = publish.claim_rows(source, done)
    assert (row["text"], row["here"], row["differs"]) == ("8", "6", True), "the stored value stays in the text"


def test_a_claim_that_left_its_tolerance_or_vanished_is_a_complaint(book: Path):
    stored = expected.expected_claims(read(book))["1.1.1/ratio"]
    near = {**stored, "values": [8.05], "text": "8.05", "tolerance": 0.1}
    far = {**stored, "values": [8.5], "text": "8.50", "tolerance": 0.1}
    assert execute.claim_complaint(near, stored) is None
    assert "stored is 8, tolerance 0.1" in str(execute.claim_complaint(far, stored))
    assert "not stored" in str(execute.claim_complaint(near, None))
    assert execute.claim_complaints(read(book), {}) == ["claim 1.1.1/ratio is stored but no cell makes it"]


def test_expected_is_renewed_and_the_difference_told(book: Path, executed: Execution):
    source = read(book)
    assert expected.renew(source, executed.outputs) == [f"{source.code()[1].id}: printed text changed"]
    assert expected.renew(source, executed.outputs) == []
    stored = json.loads((book.parent / "expected" / "01.outputs.json").read_text(encoding="utf-8"))
    assert [output["text"] for outputs in stored.values() for output in outputs] == ["8.0\n"]
    book.write_text(book.read_text(encoding="utf-8").replace("8.0, at_least", "9.0, at_least"), encoding="utf-8")
    assert expected.renew(read(book), run_chapter(read(book)).outputs) == ["1.1.1/ratio: 8 → 9"]


def test_progress_bars_are_not_kept():
    bar = {"output_type": "stream", "name": "stderr", "text": "\r 50%|█"}
    warning = {"output_type": "stream", "name": "stderr", "text": "careful\n"}
    widget = {"output_type": "display_data", "data": {execute.WIDGET_TYPE: {}, "text/plain": "0/700"}, "metadata": {}}
    assert execute.without_progress([bar, warning, widget]) == [warning]


@pytest.mark.messages
def test_a_failing_cell_is_named_and_nothing_is_kept(book: Path):
    text = book.read_text(encoding="utf-8").replace("print(math.sqrt(64))", "print(math.sqrt(-1))")
    book.write_text(text, encoding="utf-8")
    with pytest.raises(ChapterError, match=r"cell 01-0007 \(print\(math\.sqrt\(-1\)\)\) failed"):
        run_chapter(read(book))
    assert not execute.execution_path("01-small").exists()
