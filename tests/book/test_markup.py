"""What is found in a cell: everything that must agree between the languages, and nothing that is code."""

import pytest

from llmbook.book.markup import formula, items, numerals, sentences


def found(text: str) -> list[tuple[str, str]]:
    return [(item.kind, item.value) for item in items(text) if item.kind != "paragraph"]


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("(point-1-2-1)=\n### A title", [("label", "point-1-2-1"), ("heading", "h3")]),
        ("see {ref}`words <point-1>` and {eq}`eq-a`", [("role ref", "point-1"), ("role eq", "eq-a")]),
        ("a {term}`token`", [("role term", "")]),
        ("$a + b$ and `code 12`", [("formula", "a+b"), ("code", "code 12")]),
        ("$$\na = b\n$$ (eq-x)", [("displayed formula", "a=b"), ("label", "eq-x")]),
        (
            "```{math}\n:label: eq-x\n\na = b\n```",
            [("directive", "math"), ("label", "eq-x"), ("displayed formula", "a=b")],
        ),
        ("4,354 and 12.5", [("numeral", "4354"), ("numeral", "12.5")]),
        ("about {given}`2 minutes`", [("numeral", "2")]),
        ("- one\n- two", [("list_item", ""), ("list_item", "")]),
        ("[a](https://example.org)", [("link", "https://example.org")]),
        ("# 第 1 章", [("heading", "h1")]),
        ("```{note}\nNot 3.\n```", [("directive", "note"), ("numeral", "3")]),
    ],
)
def test_what_a_cell_holds(text: str, things: list[tuple[str, str]]):
    assert found(text) == things


def test_lines_are_those_of_the_file():
    text = "First.\n\nSecond $x$\nthird $y$.\n\n```{note}\n:class: a\n\nFourth $z$.\n```"
    assert [(i.value, i.line) for i in items(text, 101) if i.kind == "formula"] == [("x", 103), ("y", 104), ("z", 109)]


def test_words_in_formulas_are_each_languages_own():
    assert formula(r"d_{\text{模型}} = 1") == formula(r"d_{\text{model}}  =  1")
    assert formula("a + b") != formula("a - b")


def test_separators_do_not_make_another_numeral():
    assert numerals("1,000,000 and 1000000") == ["1000000", "1000000"]
    assert numerals("1.2.3") == ["1.2.3"]


def test_sentences_know_their_roles_and_end_where_each_language_ends_them():
    zh = list(sentences("第一句 {cite:p}`a`。第二句！"))
    assert [(roles, line) for _, roles, line in zh] == [(frozenset({"cite:p"}), 1), (frozenset(), 1)]
    en = [text for text, _, _ in sentences("One is 3.5 long. Two has `code.` in it. Three")]
    assert [text.strip() for text in en] == ["One is 3.5 long.", "Two has \ufffc in it.", "Three"]
