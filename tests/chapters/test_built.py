"""The executed book: both languages from one execution, the same numbers in notebook and site, nothing raw left over."""

import re
from pathlib import Path

import nbformat
import pytest

from llmbook import drawing, paths
from llmbook.book.numbering import targets
from llmbook.book.source import LANGUAGES, chapter_files, read
from llmbook.drawing import SVG
from llmbook.execution.executing import stored_execution
from llmbook.execution.holding import budget_complaints

pytestmark = pytest.mark.built
CHAPTERS = chapter_files()


def notebook(lang: str, path: Path) -> nbformat.NotebookNode:
    return nbformat.read(paths.build_dir() / "executed" / lang / f"{path.stem}.ipynb", as_version=4)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_both_languages_show_the_one_execution_with_the_words_of_each_on_its_figures(path: Path):
    zh, en = (
        [(cell.source, cell.outputs) for cell in notebook(lang, path).cells if cell.cell_type == "code"]
        for lang in LANGUAGES
    )
    assert [(code, list(map(without_words, outputs))) for code, outputs in zh] == [
        (code, list(map(without_words, outputs))) for code, outputs in en
    ]
    drawn = [
        [
            drawing.words(output["data"][SVG])
            for _, outputs in side
            for output in outputs
            if SVG in output.get("data", {})
        ]
        for side in (zh, en)
    ]
    assert all(map(any, drawn))
    chinese, english = ("".join(word for words in side for word in words) for side in drawn)
    more = len(re.findall("[\u4e00-\u9fff]", chinese)) - len(re.findall("[\u4e00-\u9fff]", english))
    assert more > 5 * len(drawn[0])


def without_words(output: dict) -> dict:
    """An output whose drawing has neither texts nor their font."""
    if SVG not in output.get("data", {}):
        return output
    svg = drawing.CARRIED.sub("", drawing.TEXT.sub(r"\1\3", output["data"][SVG]))
    return {**output, "data": {**output["data"], SVG: svg}}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_execution_is_true_and_within_its_budget(path: Path):
    source = read(path)
    execution = stored_execution(source)
    assert execution is not None
    assert budget_complaints(source, execution) == []


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_readers_notebook_is_valid_and_shows_no_raw_markup(path: Path, lang: str):
    read_by_people = notebook(lang, path)
    nbformat.validate(read_by_people)
    for cell in read_by_people.cells:
        if cell.cell_type == "markdown":
            without_math = re.sub(r"\$[^$]*\$|`[^`]*`", "", cell.source)
            assert not re.search(
                r"\{\w[\w:]*\}`|^\(\w[\w-]*\)=|^```\{|^:\w+:|\[\?\]|\*\*",
                re.sub(r"\*\*[^*]+\*\*", "", without_math),
                re.M,
            ), cell.source


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_all_numbers_are_those_that_sphinx_gives(path: Path, lang: str):
    source = read(path)
    for label, target in targets(source, lang).items():
        if target.kind in ("chapter", "page"):
            continue
        section = "-".join(target.number.split(".")[:2])
        page = (paths.build_dir() / "html" / lang / source.slug / f"section-{section}.html").read_text(encoding="utf-8")
        if target.kind == "equation":
            at = page.index(f'id="equation-{label}"')
            assert re.search(r'class="eqno">\(([\d.]+)\)', page[at:])[1] == target.number, label
        elif target.kind == "figure":
            at = page.index(f'id="{label}"')
            assert re.search(r'class="caption-number">\D*([\d.]+)', page[at:])[1] == target.number, label
        else:
            at = page.index(f'id="{label}"')
            assert re.search(r'class="section-number">([\d.]+)', page[at:])[1] == target.number, label


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_point_of_the_outline_has_its_heading_on_the_site(path: Path, lang: str):
    source = read(path)
    html = "".join(
        page.read_text(encoding="utf-8") for page in (paths.build_dir() / "html" / lang / source.slug).glob("*.html")
    )
    for label, target in targets(source, lang).items():
        if target.kind == "point":
            assert f'id="{label}"' in html, label
