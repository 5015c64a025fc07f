"""The two faces of a prose cell, piece by piece."""

import pytest

from llmbook.book.numbering import Target
from llmbook.edition.faces import Context, MarkupError, reader_face, site_face

TARGETS = {
    "eq-a": Target("eq-a", "equation", "1.2.3", "", "01-small", "1.2-Here"),
    "fig-a": Target("fig-a", "figure", "1.2.1", "A figure", "01-small", "1.2-Here"),
    "point-2-1-1": Target("point-2-1-1", "point", "2.1.1", "Elsewhere", "02-other", "2.1.1-Elsewhere"),
}


def context(lang: str = "en") -> Context:
    claims = {"1.1.1/x": "94.3%"}
    citations = {"a": ("Vaswani et al., 2017", "https://example.org/a"), "b": ("Ba, 2016", "")}
    return Context(lang, "01-small", TARGETS, claims, citations)


@pytest.mark.parametrize(
    ("text", "face"),
    [
        ("it is {claim}`1.1.1/x` here", "it is 94.3% here"),
        ("about {given}`2 minutes`", "about 2 minutes"),
        ("see {eq}`eq-a` and {numref}`fig-a`", "see (1.2.3) and Figure 1.2.1"),
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


def test_chinese_says_times_in_words():
    for text, shown in {
        "2.25× (1.39–3.11)": "2.25 倍 (1.39–3.11)",
        "1.7 × 10⁻⁵×": "1.7 × 10⁻⁵ 倍",
        "3 × 10²": "3 × 10²",
    }.items():
        here = Context("zh", "01-small", {}, {"1.1.1/x": text}, {})
        assert reader_face("是 {claim}`1.1.1/x`。", here) == f"是 {shown}。"


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
    ],
)
def test_what_cannot_be_shown_is_refused(text: str, message: str):
    with pytest.raises(MarkupError) as caught:
        reader_face(text, context())
    assert str(caught.value) == message
