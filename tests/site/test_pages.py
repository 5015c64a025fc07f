import json

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from llmbook.results import CLAIM_TYPE
from llmbook.site.pages import claim_anchor, claims_table, cut, pieces


def headings(text: str) -> list[str]:
    return [
        line
        for cell in json.loads(text)["cells"]
        for line in "".join(cell["source"]).splitlines()
        if line.startswith("#")
    ]


def test_a_page_a_section_between_index_and_claims(notebook: NotebookNode) -> None:
    assert [page.docname for page in cut(notebook)] == [
        "01-transformer/index",
        "01-transformer/section-1-1",
        "01-transformer/section-1-2",
        "01-transformer/claims",
    ]


def test_headings_rise_by_one_level_on_section_pages_only(notebook: NotebookNode) -> None:
    index, _, second, _ = cut(notebook)
    assert headings(index.text) == ["# 第一章：Transformer架构及其核心组件"]
    assert headings(second.text) == ["# Transformer的核心组件", "## 谁该看谁", "### 手算一遍", "## 分数怎么变成权重"]


def test_pages_are_valid_notebooks_and_hold_every_cell_once(notebook: NotebookNode) -> None:
    pages = [nbformat.reads(page.text, as_version=4) for page in cut(notebook) if page.suffix == ".ipynb"]
    for page in pages:
        nbformat.validate(page)
    code = [cell.source for page in pages for cell in page.cells if cell.cell_type == "code"]
    assert code == [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def test_the_same_notebook_gives_the_same_bytes_and_is_left_as_it_was(notebook: NotebookNode) -> None:
    before = nbformat.writes(notebook)
    assert cut(notebook) == cut(notebook)
    assert nbformat.writes(notebook) == before


def test_a_section_that_starts_within_a_cell_takes_its_label_along() -> None:
    found = pieces(
        "before\n\n(section-1-1)=\n(other)=\n## First\n\n### Point\n\n(section-1-2)=\n## Second\n", raised=False
    )
    assert [piece.labels for piece in found] == [None, ("section-1-1", "other"), ("section-1-2",)]
    assert found[0].text.strip() == "before"
    assert found[1].text.split() == ["(section-1-1)=", "(other)=", "#", "First", "##", "Point"]
    assert found[2].text.split() == ["(section-1-2)=", "#", "Second"]


def test_what_only_looks_like_a_heading_stays() -> None:
    text = "```python\n## not a heading\n```\n\n$$\n## x\n$$\n\n> ## quoted"
    assert [piece.text for piece in pieces(text, raised=True)] == [text]


def test_underlined_headings_rise_too() -> None:
    assert pieces("(section-1-1)=\nTitle\n-----\n\ntext", raised=False)[1].text == "(section-1-1)=\n# Title\n\ntext"


def test_a_claim_is_one_quiet_line_that_leads_to_the_table(notebook: NotebookNode) -> None:
    _, _, second, claims = cut(notebook)
    assert CLAIM_TYPE not in second.text
    assert f'href=\\"claims.html#{claim_anchor("1.2.1/accuracy")}\\"' in second.text
    assert "{#claim-1-2-1-accuracy}" in claims.text


def source_of(notebook: NotebookNode, lines: int) -> str:
    """The source that `show` put out, as it stands on the page when it has so many lines."""
    show = next(cell for cell in notebook.cells if cell.get("id") == "show")
    show.outputs[0].data["text/markdown"] = "`llmbook/nn/x.py`\n\n```python\n" + "x = 1\n" * lines + "```"
    page = nbformat.reads(cut(notebook)[2].text, as_version=4)
    nbformat.validate(page)
    return next(cell for cell in page.cells if cell.id == "show").outputs[0].data["text/markdown"]


def test_a_long_source_is_folded_below_its_path(notebook: NotebookNode) -> None:
    assert "<details" not in source_of(notebook, 24)
    folded = source_of(notebook, 25)
    assert folded.startswith(
        '`llmbook/nn/x.py`\n\n<details class="llmbook-fold"><summary>源码，25 行</summary>\n\n```python\nx = 1\n'
    )
    assert folded.endswith("x = 1\n```\n\n</details>")


def claims_below(notebook: NotebookNode, number: int, *, holds: bool = True) -> str:
    """What stands below a cell that made so many claims."""
    cell = next(cell for cell in notebook.cells if cell.get("id") == "claim")
    cell.outputs = [nbformat.from_dict(cell.outputs[0]) for _ in range(number)]
    cell.outputs[-1].data[CLAIM_TYPE]["holds"] = holds
    page = nbformat.reads(cut(notebook)[2].text, as_version=4)
    nbformat.validate(page)
    return next(cell for cell in page.cells if cell.id == "claim-claims").source


@pytest.mark.parametrize("number", [1, 4])
def test_claims_are_folded(notebook: NotebookNode, number: int) -> None:
    folded = claims_below(notebook, number)
    assert folded.startswith(
        f'<details class="llmbook-fold"><summary>论断，{number} 条</summary>\n<p class="llmbook-claim">'
    )
    assert folded.count('<p class="llmbook-claim">') == number
    assert "\n\n" not in folded  # Markdown ends raw HTML there


def test_claims_of_which_one_fails_stay_open(notebook: NotebookNode) -> None:
    assert '<details class="llmbook-fold" open>' in claims_below(notebook, 4, holds=False)


def test_the_table_names_value_bound_source_and_result(notebook: NotebookNode) -> None:
    rows = claims_table(notebook.metadata["llmbook"], frozenset({"point-1-2-1"})).splitlines()
    first, second = rows[-2:]
    for part in (
        "{ref}`1.2.1 <point-1-2-1>`",
        "94.3% (93.1–95.5)",
        "≥ 90",
        "实时，n = 3",
        "[成立]",
        r"正确率 \| 三个种子",
    ):
        assert part in first
    assert "存档 `heads`，n = 5，全部种子共 25 分钟，此后代码或数据有改动" in second
    assert "[此处不同]" in second
    assert "{ref}" not in second


def test_the_index_tells_seconds_and_memory(notebook: NotebookNode) -> None:
    assert "83 秒，内存峰值 0.9 GB" in cut(notebook)[0].text


@pytest.mark.messages
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("## Without a label", "'Without a label' needs one label"),
        ("(section-1-2)=\n## Again", "'section-1-2' heads two sections"),
        ("[a link][x]\n\n[x]: https://example.org", "write the links inline"),
    ],
)
def test_a_chapter_that_cannot_be_cut_is_refused(notebook: NotebookNode, text: str, message: str) -> None:
    notebook.cells.append(new_markdown_cell(text))
    with pytest.raises(ValueError, match=message):
        cut(notebook)
