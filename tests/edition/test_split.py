"""Every defect that the two languages can have is planted once and must be caught, with file, line and what differs."""

import json
from pathlib import Path

import nbformat
import pytest
from small_book import CLAIM

from llmbook import paths
from llmbook.book import lock
from llmbook.book.source import SourceError, read
from llmbook.edition.book import Book
from llmbook.edition.split import reader_notebook, site_notebook, split

ROLE = "{claim}`1.1.1/ratio`"


def plant(chapter: Path, old: str, new: str, *, relock: bool = True) -> list[str]:
    """Puts a defect into the chapter and returns the messages of what is found."""
    text = chapter.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} must stand in the chapter once"
    chapter.write_text(text.replace(old, new), encoding="utf-8")
    source = read(chapter)
    if relock:
        lock.approve(source, ["all"])
    return [str(finding) for finding in Book.read().findings(source)]


def test_a_sound_book_has_no_findings(book: Path):
    assert Book.read().findings(read(book)) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("The measured ratio is {claim}`1.1.1/ratio`, over 1,000 draws.\n", "", "blocks differ: zh has paragraph"),
        ("for $d = 64$".replace("for", "For"), "For $d = -64$", "the en cell lacks the formula 'd=64'"),
        ("over 1,000 draws", "over 10,000 draws", "the en cell lacks the numeral '1000'"),
        ("1 but 64 {cite:p}`vaswani2017attention`", "1 but 64", "lacks the role cite:p 'vaswani2017attention'"),
        ("By {eq}`eq-score` more", "By this more", "lacks the role eq 'eq-score'"),
        ("## First section", "## The first section", "the outline has 'First section'"),
        ("> Why divide?", "> Why do we divide?", "the outline's sentence is 'Why divide?'"),
        ("more tokens change", "more units change", "zh uses '词元', en nowhere says 'token'"),
        ("词元多了也一样", "令牌，也就是词元，多了也一样", "zh says '令牌'; the book's term is '词元'"),
        ("The measured ratio is", "The measured ratio 8.02 is", "literal number '8.02' in the prose"),
        ("The measured ratio is", "It is 8 times as large: the ratio is", "literal number '8 times' in the prose"),
        ("测得的比值是", "约高 93 %，测得的比值是", "literal number '3 %' in the prose"),
        ("共 1,000 次", "共 1000 万次", "write all digits before 万 and 亿"),
        ("方差不是 1", "**方差（variance）**不是 1", "（variance）**不' closes no bold before a letter"),
        ("is {claim}`1.1.1/ratio`, over", "is {claim}`1.1.1/other`, over", "the claim '1.1.1/other' is in no run"),
        (
            "is {claim}`1.1.1/ratio`, over",
            "is {claim:mean}`1.1.1/ratio`, over",
            "the en cell lacks the role claim '1.1",
        ),
    ],
)
def test_a_planted_defect_is_caught(book: Path, old: str, new: str, message: str):
    found = plant(book, old, new)
    assert any(message in line for line in found), found
    assert all(line.startswith("chapters/01-small.md:") for line in found)


WORD = "{claim:mean}`none <1.1.1/ratio>`"


@pytest.mark.parametrize(
    ("value", "unit", "digits", "zh", "en", "message"),
    [
        (0, "", None, ROLE, ROLE, "the claim '1.1.1/ratio' is 0: say it in a word, {claim}`none <1.1.1/ratio>`"),
        (0, "", None, WORD, WORD, None),
        (0, "%", None, ROLE, ROLE, None),
        (1_438_884, "", None, f"约 {ROLE}", f"about {ROLE}", "before 1,438,884: give the claim '1.1.1/ratio' digits=3"),
        (1_438_884, "", 3, f"约 {ROLE}", f"about {ROLE}", None),
        (1_438_884, "", None, ROLE, ROLE, None),
        (64_000, "", None, f"约 {ROLE}", f"about {ROLE}", None),
    ],
)
def test_how_a_sentence_may_quote_a_number(book: Path, value, unit, digits, zh: str, en: str, message: str | None):
    stored = {**CLAIM, "values": [value], "unit": unit, "digits": digits}
    (book.parent / "expected/01.claims.json").write_text(json.dumps({"1.1.1/ratio": stored}), encoding="utf-8")
    text = book.read_text(encoding="utf-8")
    book.write_text(text.replace(f"是 {ROLE}", f"是 {zh}").replace(f"is {ROLE}", f"is {en}"), encoding="utf-8")
    lock.approve(read(book), ["all"])
    found = [finding.message for finding in Book.read().findings(read(book))]
    assert len(found) == (2 if message else 0), "one a language"
    assert all(str(message) in line for line in found)


def test_a_label_that_no_text_refers_to_is_caught(book: Path):
    text = book.read_text(encoding="utf-8")
    book.write_text(text.replace("By {eq}`eq-score` more", "By this more").replace("由 {eq}`eq-score` 得", "由此得"))
    found = [str(finding) for finding in Book.read().findings(read(book), locked=False)]
    line = text.splitlines().index(":label: eq-score")  # the directive's own line, counted from 1
    message = "no text refers to the equation 'eq-score': name it, or take its label away"
    assert found == [f"chapters/01-small.md:{line}: {message}"]


@pytest.mark.parametrize(
    ("zh", "en", "message"),
    [
        ("{ref}`x <point-9-9-9>`", "{ref}`x <point-9-9-9>`", "nothing has the label 'point-9-9-9'"),
        ("{eq}`eq-gone`", "{eq}`eq-gone`", "nothing has the label 'eq-gone'"),
        ("{numref}`fig-gone`", "{numref}`fig-gone`", "nothing has the label 'fig-gone'"),
        ("{cite:p}`nobody`", "{cite:p}`nobody`", "no source 'nobody' in chapters/references.bib"),
        (
            "{cite:t}`vaswani2017attention, nobody`",
            "{cite:t}`vaswani2017attention, nobody`",
            "no source 'nobody' in chapters/references.bib",
        ),
        ("{abbr}`x`", "{abbr}`x`", "unknown role {abbr}`x`"),
        ("高 3.5 秒。", "3.5 seconds more.", "literal number '3.5' in the prose"),
        ("{claim}`1.1.1/gone`", "{claim}`1.1.1/gone`", "the claim '1.1.1/gone' is in no run"),
    ],
)
def test_what_leads_nowhere_is_found_with_its_line(book: Path, zh: str, en: str, message: str):
    """On the second line of a paragraph that begins with a whole sentence."""
    text = book.read_text(encoding="utf-8")
    text = text.replace("共 1,000 次。", f"共 1,000 次。\n{zh}").replace(
        "over 1,000 draws.", f"over 1,000 draws.\n{en}"
    )
    book.write_text(text, encoding="utf-8")
    lock.approve(read(book), ["all"])
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line in (zh, en)]
    found = [str(finding) for finding in Book.read().findings(read(book))]
    assert len(found) == len(lines) == 2
    assert all(
        one.startswith(f"chapters/01-small.md:{line}: {message}") for one, line in zip(found, lines, strict=True)
    )


def test_a_citation_excuses_the_numbers_of_its_own_sentence_only(book: Path):
    found = plant(
        book, "over 1,000 draws.", "over 1,000 draws.\nIt took 3 seconds.\nSo said {cite:t}`vaswani2017attention`."
    )
    assert any("literal number '3 seconds'" in line for line in found), found


def test_a_table_of_claims_names_the_row(book: Path):
    table = "```{claims}\nA | B\nx | 1.1.1/ratio\ny | 1.1.1/gone\n```\n"
    text = book.read_text(encoding="utf-8")
    text = text.replace("测得的比值", table + "\n测得的比值").replace("The measured", table + "\nThe measured")
    book.write_text(text, encoding="utf-8")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line == "y | 1.1.1/gone"]
    lock.approve(read(book), ["all"])
    found = [finding for finding in Book.read().findings(read(book)) if "1.1.1/gone" in finding.message]
    assert [finding.line for finding in found] == lines


def test_a_statement_of_an_exercise_is_held_like_a_chapter(book: Path):
    """Both languages compared, references found, every pair approved; found when its chapter is checked."""
    folder = paths.root() / "exercises" / "01" / "some-sum"
    folder.mkdir(parents=True)
    (folder / "exercise.toml").write_text(
        'kind = "open"\noutline = ["1.1.1"]\npoints = 1\nminutes = 1\ntitle = {zh = "和", en = "A sum"}\n', "utf-8"
    )
    statement = folder / "statement.md"
    statement.write_text(
        '+++ {"lang": "zh"}\n\n求 3 个数之和，见 {ref}`1.1.1 <point-1-1-1>`。\n\n'
        '+++ {"lang": "en"}\n\nAdd 3 numbers, see {ref}`1.1.1 <point-1-1-1>`.\n',
        encoding="utf-8",
    )
    (found,) = Book.read().findings(read(book))
    assert str(found).startswith("exercises/01/some-sum/statement.md:3: cells some-sum-0000 and some-sum-0001: both")
    assert "`llmbook lock some-sum --reviewed some-sum-0000`" in found.message
    lock.approve(Book.read().text("some-sum"), ["some-sum-0000"])
    assert Book.read().findings(read(book)) == []
    statement.write_text(statement.read_text("utf-8").replace("Add 3", "Add 4"), encoding="utf-8")
    found = [finding.message for finding in Book.read().findings(read(book))]
    assert found[0] == "the en cell lacks the numeral '3' that zh has at line 3"
    assert "en changed alone since the last review" in found[-1]


def test_a_diagram_without_alternative_text_is_caught(book: Path):
    figure = "```{figure} a.svg\n:name: fig-a\n:alt: words\n\n{numref}`fig-a`\n```\n"
    text = book.read_text(encoding="utf-8")
    book.write_text(
        text.replace("测得的比值", figure + "\n测得的比值").replace("The measured", figure + "\nThe measured")
    )
    assert Book.read().findings(read(book), locked=False) == []
    book.write_text(book.read_text(encoding="utf-8").replace(":alt: words\n", ":alt:\n"))
    found = [str(finding) for finding in Book.read().findings(read(book), locked=False)]
    assert [line.partition(": ")[2] for line in found] == ["the figure a.svg has no alternative text"] * 2


def test_a_swapped_sign_in_a_displayed_formula_is_caught(book: Path):
    text = book.read_text(encoding="utf-8")
    head, tail = text.rsplit("s = q \\cdot k - 1", 1)
    book.write_text(head + "s = q \\cdot k + 1" + tail, encoding="utf-8")
    found = [str(finding) for finding in Book.read().findings(read(book))]
    assert any("displayed formula" in line and "k-1" in line for line in found), found


def test_a_missing_label_is_caught(book: Path):
    text = book.read_text(encoding="utf-8")
    head, tail = text.rsplit("(point-1-1-1)=\n", 1)
    book.write_text(head + tail, encoding="utf-8")
    found = [str(finding) for finding in Book.read().findings(read(book))]
    assert any("lacks the label 'point-1-1-1'" in line for line in found), found


def test_a_dropped_negation_is_caught_by_the_lock(book: Path):
    found = plant(book, "the variance is not 1 but 64", "the variance is 1 but 64", relock=False)
    assert len(found) == 1
    assert "en changed alone since the last review" in found[0]
    assert lock.approve(read(book), ["1.1.1"]) == 1
    assert Book.read().findings(read(book)) == []


def test_the_finding_names_the_line(book: Path):
    (found,) = plant(book, "over 1,000 draws", "over 10 draws, 1,000 in all")
    line = int(found.split(":")[1])
    text = book.read_text(encoding="utf-8").splitlines()
    assert "The measured ratio" in text[int(found.rsplit("line ", 1)[1]) - 1]
    assert text[line - 1] == "(point-1-1-1)="


def test_nothing_is_written_when_anything_is_wrong(book: Path):
    plant(book, "> Why divide?", "> Why?")
    with pytest.raises(SourceError, match="the outline's sentence"):
        split(Book.read())
    assert not (paths.build_dir() / "notebooks").exists()


def test_the_same_source_gives_the_same_bytes(book: Path):
    first = {path: path.read_bytes() for path in split(Book.read())}
    for path in first:
        path.unlink()
    assert {path: path.read_bytes() for path in split(Book.read())} == first
    assert {path.parent.name for path in first} == {"zh", "en"}


def test_both_editions_have_the_same_code_cells(book: Path):
    source = read(book)
    code = [
        [
            (cell.id, cell.source)
            for cell in reader_notebook(Book.read(), source, lang).cells
            if cell.cell_type == "code"
        ]
        for lang in ("zh", "en")
    ]
    assert code[0] == code[1]
    assert len(code[0]) == 3


def test_the_readers_face_shows_no_raw_markup(book: Path):
    for lang in ("zh", "en"):
        notebook = reader_notebook(Book.read(), read(book), lang)
        nbformat.validate(notebook)
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        for raw in ("{claim}", "{cite", "{eq}", ":label:", ")=", "```{"):
            assert raw not in text
        assert "[Vaswani et al., 2017](https://arxiv.org/abs/1706.03762)" in text
        assert "\\tag{1.1.1}" in text
        assert "(1.1.1)" in text
        assert {"zh": "比值是 8，共", "en": "ratio is 8, over"}[lang] in text


def test_the_readers_face_numbers_sections_and_points(book: Path):
    text = "\n".join(cell.source for cell in reader_notebook(Book.read(), read(book), "zh").cells)
    assert "# 第一章：小书" in text
    assert "## 1.1 第一节" in text
    assert "### 1.1.1 除以根号" in text


def test_the_site_face_keeps_myst_and_sets_claims(book: Path):
    text = "\n".join(cell.source for cell in site_notebook(Book.read(), read(book), "en", {}).cells)
    assert "(point-1-1-1)=" in text
    assert "{eq}`eq-score`" in text
    assert "The measured ratio is 8, over 1,000 draws." in text


@pytest.mark.messages
def test_a_wrong_language_code_is_refused(book: Path):
    with pytest.raises(ValueError, match="language is 'fr'; expected one of zh, en"):
        reader_notebook(Book.read(), read(book), "fr")


@pytest.mark.messages
def test_a_reference_to_nothing_is_refused_with_its_line(book: Path):
    for lang, text in (
        ("由 {eq}`eq-score` 得", "由 {eq}`eq-none` 得"),
        ("By {eq}`eq-score` more", "By {eq}`eq-none` more"),
    ):
        plant(book, lang, text)
    with pytest.raises(SourceError, match=r"01-small\.md:\d+: nothing has the label 'eq-none'"):
        reader_notebook(Book.read(), read(book), "zh")


FIGURE = """---
tags: [run]
figure:
  name: fig-a
  alt: {zh: 一条线, en: a line}
  caption: {zh: 宽 $d$ 与 4 个头。, en: Width $d$ and 4 heads.}
---
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Width $d$", "Width $-d$", "lacks the formula 'd'"),
        ("4 heads", "8 heads", "lacks the numeral '4'"),
        ("a line", "a line up to 0.9", "literal number '0.9'"),
    ],
)
def test_the_words_of_a_figure_are_held_too(book: Path, old: str, new: str, message: str):
    text = book.read_text(encoding="utf-8").replace("---\ntags: [run]\n---\n", FIGURE)
    text = text.replace("共 1,000 次", "共 1,000 次，见 {numref}`fig-a`").replace(
        "over 1,000", "as in {numref}`fig-a` over 1,000"
    )
    book.write_text(text, encoding="utf-8")
    lock.approve(read(book), ["all"])
    assert Book.read().findings(read(book)) == []
    found = plant(book, old, new)
    assert any(message in line for line in found), found


def test_a_draft_may_quote_a_claim_that_no_run_has_made(book: Path):
    for old, new in (
        ("比值是 {claim}`1.1.1/ratio`", "比值是 {claim}`1.1.1/new`"),
        ("ratio is {claim}`1.1.1/ratio`", "ratio is {claim}`1.1.1/new`"),
    ):
        plant(book, old, new)
    assert Book.read().findings(read(book), locked=False) == []
    assert any("is in no run" in str(finding) for finding in Book.read().findings(read(book)))


@pytest.mark.messages
def test_a_figure_without_its_words_in_both_languages_is_refused(book: Path):
    text = book.read_text(encoding="utf-8").replace("---\ntags: [run]\n---\n", FIGURE.replace(", en: a line", ""))
    book.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match="needs a name, and alt and caption in zh and en"):
        read(book)


def test_code_that_only_records_claims_is_folded_in_both_faces(book: Path):
    text = book.read_text(encoding="utf-8")
    assert text.count("\ntags: [run]\n") == 1
    book.write_text(text.replace("\ntags: [run]\n", "\ntags: [run, hide-input]\n"), encoding="utf-8")
    source = read(book)
    (made,) = (cell for cell in source.code() if cell.tag == "run")
    reader, site = reader_notebook(Book.read(), source, "zh"), site_notebook(Book.read(), source, "zh", {})
    of = {face: {cell.id: cell.metadata for cell in notebook.cells} for face, notebook in (("r", reader), ("s", site))}
    assert of["r"][made.id]["jupyter"] == {"source_hidden": True}
    assert of["s"][made.id]["tags"] == ["run", "hide-input"]
    assert [cell.id for cell in reader.cells if "jupyter" in cell.metadata] == [made.id]
