"""Reading a source: languages, partners, tags, lines."""

from pathlib import Path

import pytest

from llmbook.book.source import SourceError, find_chapter, read


def test_cells_know_language_line_and_tag(book: Path):
    source = read(book)
    lines = book.read_text(encoding="utf-8").splitlines()
    for cell in source.cells:
        assert lines[cell.line - 1] == cell.source.splitlines()[0]
    assert [cell.tag for cell in source.code()] == ["setup", "derive", "run"]
    assert [cell.id for cell in source.cells[:2]] == ["01-0000", "01-0001"]
    assert len(source.pairs()) == 3


def test_a_cell_of_one_edition_needs_a_reason(book: Path):
    text = book.read_text(encoding="utf-8")
    book.write_text(text + '\n+++ {"lang": "en", "only": "pinyin explained"}\n\nHelp.\n', encoding="utf-8")
    source = read(book)
    assert source.cells[-1].only == "pinyin explained"
    assert source.cells[-1] not in source.edition("zh")
    assert source.cells[-1] in source.edition("en")


@pytest.mark.messages
@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ('\n+++ {"lang": "zh"}\n\n孤零零\n', "the zh cell 01-0009 has no en cell beside it"),
        ('\n+++ {"lang": "de"}\n\nAllein\n', 'says "lang": \'de\'; expected "zh" or "en"'),
        ("\n+++\n\nno language\n", 'says "lang": None'),
        ("\n```{code-cell} ipython3\nprint(1)\n```\n", "has no tag; expected one of derive, show, check, run, setup"),
        ("\n```{code-cell} ipython3\n:tags: [check]\n\n" + "assert True\n" * 9 + "```\n", "has 9 lines; at most 8"),
        (
            "\n```{code-cell} ipython3\n:tags: [check]\n\nx = " + "9" * 93 + "\n```\n",
            "a code line has 97 characters; at most 96",
        ),
    ],
)
def test_a_source_that_cannot_be_read_is_refused_with_its_line(book: Path, tail: str, message: str):
    book.write_text(book.read_text(encoding="utf-8") + tail, encoding="utf-8")
    with pytest.raises(SourceError) as caught:
        read(book)
    assert message in str(caught.value)
    assert str(caught.value).startswith("chapters/01-small.md:")


@pytest.mark.messages
def test_an_unknown_chapter_is_refused(book: Path):
    assert find_chapter("1.1.1") == find_chapter("01") == find_chapter("01-small") == book
    with pytest.raises(ValueError, match="no chapter '7'; expected one of 01-small"):
        find_chapter("7")


def test_a_chapter_may_be_a_folder_and_what_editors_leave_in_it_is_passed_over(book: Path):
    text = book.read_text(encoding="utf-8")
    cut = text.index('+++ {"lang": "zh"}\n\n(section-1-1)=')
    folder = book.with_suffix("")
    folder.mkdir()
    (folder / "index.md").write_text(text[:cut], encoding="utf-8")
    (folder / "1-first.md").write_text(text[cut:], encoding="utf-8")
    for name in (".1-first.md.swp", "#1-first.md#", "1-first.md~"):
        (folder / name).write_text("", encoding="utf-8")
    (folder / ".ipynb_checkpoints").mkdir()
    whole, parts = read(book), read(folder)
    assert [(cell.id, cell.source) for cell in parts.cells] == [(cell.id, cell.source) for cell in whole.cells]
    assert parts.cells[-1].path == folder / "1-first.md"
    assert parts.slug == whole.slug


@pytest.mark.messages
def test_another_file_in_a_chapters_folder_is_named(tmp_path: Path):
    (tmp_path / "01-x").mkdir()
    (tmp_path / "01-x" / "notes.txt").write_text("", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"01-x holds notes\.txt; expected index\.md and sections such as 1-origins\.md"
    ):
        read(tmp_path / "01-x")
