"""The two faces of a prose cell, piece by piece."""

from pathlib import Path

import pytest

from llmbook import paths
from llmbook.book.numbering import Target
from llmbook.edition.book import Book, notation_table
from llmbook.edition.faces import Context, MarkupError, reader_face, site_face

TARGETS = {
    "eq-a": Target("eq-a", "equation", "1.2.3", "", "01-small", "1.2-Here"),
    "fig-a": Target("fig-a", "figure", "1.2.1", "A figure", "01-small", "1.2-Here"),
    "point-2-1-1": Target("point-2-1-1", "point", "2.1.1", "Elsewhere", "02-other", "2.1.1-Elsewhere"),
}


def context(lang: str = "en") -> Context:
    claims = {
        "1.1.1/x": {"values": [94.28571], "unit": "%"},
        "1.1.1/seeds": {"values": [93.0, 94.0, 95.0], "unit": "%", "digits": None},
        "1.1.1/size": {"values": [1_438_884], "unit": "", "digits": 3},
        "1.1.1/slower": {"values": [1.778, 1.782], "unit": "×", "digits": 2},
        "1.1.1/none": {"values": [0], "unit": ""},
    }
    citations = {"a": ("Vaswani et al., 2017", "https://example.org/a"), "b": ("Ba, 2016", "")}
    return Context(lang, "01-small", TARGETS, claims, citations)


@pytest.mark.parametrize(
    ("text", "face"),
    [
        ("it is {claim}`1.1.1/x` here", "it is 94.3% here"),
        ("{claim}`1.1.1/seeds`, {claim:mean}`1.1.1/seeds`", "94.0% (91.5–96.5), 94.0%"),
        ("about {claim}`1.1.1/size` numbers", "about 1.44 million numbers"),
        ("{claim:mean}`none <1.1.1/none>` and {claim:mean}`none <1.1.1/x>`", "none and 94.3%"),
        ("a draft's {claim:mean}`1.1.1/unknown`", "a draft's [?]"),
        (
            "```{claims}\nModel | right\nLSTM, {given}`2` | 1.1.1/seeds\nCNN | 1.1.1/x\n```",
            "| Model | right |\n| --- | ---: |\n| LSTM, 2 | 94.0% (91.5–96.5) |\n| CNN | 94.3% |",
        ),
        ("about {given}`2 minutes`", "about 2 minutes"),
        ("see {eq}`eq-a` and {numref}`fig-a`", "see Eq. (1.2.3) and Figure 1.2.1"),
        ("see {ref}`point-2-1-1`", "see [2.1.1 Elsewhere](02-other.ipynb#2.1.1-Elsewhere)"),
        ("see {ref}`there <point-2-1-1>`", "see [there](02-other.ipynb#2.1.1-Elsewhere)"),
        ("{cite:t}`a` said", "[Vaswani et al. (2017)](https://example.org/a) said"),
        ("so {cite:p}`a,b`", "so ([Vaswani et al., 2017](https://example.org/a); Ba, 2016)"),
        ("a {term}`token`", "a token"),
        ("`{claim}` is code, {claim}`1.1.1/x` is not", "`{claim}` is code, 94.3% is not"),
        ("- one {claim}`1.1.1/x`\n- two {claim}`1.1.1/x`", "- one 94.3%\n- two 94.3%"),
        ("| a | {claim}`1.1.1/x` |\n|---|---|\n| b | c |", "| a | 94.3% |\n|---|---|\n| b | c |"),
        ("(eq-a)=\ntext", "text"),
        ("$$ x $$ (eq-a)", "$$\nx \\tag{1.2.3}\n$$"),
        ("```{math}\n:label: eq-a\n\nx = 1\n```", "$$\nx = 1 \\tag{1.2.3}\n$$"),
        ("```python\n{claim}\n```", "```python\n{claim}\n```"),
        ("```{note}\nBe {claim}`1.1.1/x`.\n```", "> **Note**\n>\n> Be 94.3%."),
        (
            "```{admonition} Guess: $x$?\n:class: dropdown\n\nIt is {claim}`1.1.1/x`.\n```",
            "<details>\n<summary>Guess: $x$?</summary>\n\nIt is 94.3%.\n\n</details>",
        ),
        (
            "```{figure} d.svg\n:name: fig-a\n:alt: what is seen\n\nA {claim}`1.1.1/x`.\n```",
            "![what is seen][d.svg]\n\n**Figure 1.2.1** A 94.3%.",
        ),
    ],
)
def test_the_readers_face(text: str, face: str):
    assert reader_face(text, context()) == face


def test_chinese_says_times_and_large_numbers_in_words():
    said = "{claim:mean}`1.1.1/slower`，约 {claim}`1.1.1/size` 个，{claim:mean}`没有 <1.1.1/none>`"
    for face in (reader_face, site_face):
        assert face(said, context("zh")) == "1.8 倍，约 144 万 个，没有"
    small = Context("zh", "01-small", {}, {"1.1.1/x": {"values": [1.7e-5], "unit": "×"}}, {})
    assert reader_face("{claim}`1.1.1/x`", small) == "1.7 × 10⁻⁵ 倍"


def test_the_notation_of_a_chapter_stands_where_its_directive_does(book: Path):
    folded = "````{admonition} Notation\n:class: dropdown\n\n```{notation}\n```\n````"
    with pytest.raises(MarkupError, match=r"chapters/notation\.md has no table for this chapter"):
        reader_face(folded, context())
    page = paths.chapters_dir() / "notation.md"
    table = "| symbol | meaning |\n|---|---|\n| $n$ | length |"
    for lang in ("zh", "en"):
        text = page.read_text(encoding="utf-8")
        at = text.index(f'"lang": "{lang}"')
        end = text.find("+++", at)
        cell = (
            f"\n\n(notation-2)=\n## 2\n\n| x | y |\n|---|---|\n| other | {lang} |\n\n"
            f"(notation-3)=\n## 3\n\nNo table.\n\n(notation-1)=\n## 1\n\n{table}\n\n"
        )
        page.write_text(text[:end] + cell + text[end:] if end > 0 else text + cell, encoding="utf-8")
    whole = Book.read()
    where = whole.context(whole.chapter("1"), "en")
    assert where.notation == table
    assert notation_table(whole.pages, 3, "en") == "", "it has none, and takes no other's"
    assert reader_face(folded, where) == f"<details>\n<summary>Notation</summary>\n\n{table}\n\n</details>"
    assert table in site_face(folded, where)


def test_chinese_has_its_own_brackets_and_words():
    assert reader_face("如此 {cite:p}`a,b`。", context("zh")) == (
        "如此（[Vaswani et al., 2017](https://example.org/a)；Ba, 2016）。"
    )
    assert reader_face("```{note}\n好。\n```", context("zh")) == "> **注**\n>\n> 好。"


@pytest.mark.parametrize(
    ("text", "face"),
    [
        ("(eq-a)=\nsee {eq}`eq-a`, {claim}`1.1.1/x`", "(eq-a)=\nsee {eq}`eq-a`, 94.3%"),
        ("```{note}\nBe {claim}`1.1.1/x`.\n```", "```{note}\nBe 94.3%.\n```"),
        ("```{claims}\na {ref}`x` | b\nc | 1.1.1/x\n```", "| a {ref}`x` | b |\n| --- | ---: |\n| c | 94.3% |"),
        ("```{figure} d.svg\n:name: fig-a\n\nWords.\n```", "```{figure} /diagrams/d.svg\n:name: fig-a\n\nWords.\n```"),
    ],
)
def test_the_sites_face_keeps_myst(text: str, face: str):
    assert site_face(text, context()) == face


@pytest.mark.messages
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{eq}`eq-z`", "nothing has the label 'eq-z'"),
        ("{cite:p}`z`", "no source 'z' in chapters/references.bib"),
        ("{download}`x`", "unknown role {download}`x`"),
        ("```{tabs}\nx\n```", "unknown directive {tabs}"),
        ("```{claims}\na | b\nc\n```", "the table of claims headed 'a | b' needs rows of 2 cells"),
        ("```{claims}\na | b\n```", "the table of claims headed 'a | b' needs rows of 2 cells"),
    ],
)
def test_what_cannot_be_shown_is_refused(text: str, message: str):
    with pytest.raises(MarkupError) as caught:
        reader_face(text, context())
    assert str(caught.value) == message
