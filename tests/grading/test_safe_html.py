"""Markdown of somebody else's as HTML: what is allowed stays, nothing else does, and nothing takes long."""

import base64
import re
import time

import pytest
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbook.grading.received import picture
from llmbook.grading.safe_html import (
    ATTRIBUTES,
    LONGEST,
    MATH,
    OF_MATH,
    TEXT,
    as_written,
    clean,
    formula,
    to_html,
)

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(20)).decode()
ELEMENTS = {*TEXT.split(), *MATH.split()}


def require_harmless(page: str) -> None:
    """Looks at the page as a browser reads it: no element and no attribute but the allowed ones, no address but pictures in the text."""
    for tag in BeautifulSoup(page, "lxml")(True):
        assert tag.name in {*ELEMENTS, "html", "body"}, page
        allowed = ATTRIBUTES.get(tag.name, set()) | (OF_MATH if tag.name in MATH.split() else set())
        assert set(tag.attrs) <= allowed, page
        for name, value in tag.attrs.items():
            if name in ("src", "href"):
                assert re.fullmatch(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+", str(value)), page


def test_a_text_is_set() -> None:
    text = "# T\n\nA *word* and `x < 1`, $\\alpha_1 \\ge \\frac12$.\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n$$\\sum_i x_i$$\n\n- one\n- two"
    page = BeautifulSoup(to_html(text), "lxml")
    assert [page.find(name).get_text() for name in ("h1", "em", "code", "th", "td", "li")] == list(
        ["T", "word", "x < 1", "a", "1", "one"]
    )
    inline, block = page("math")
    assert (inline["display"], block["display"]) == ("inline", "block")
    assert "α" in inline.get_text()
    assert inline.find("msub") is not None
    assert inline.find("mfrac") is not None
    require_harmless(str(page.body))


def test_details_of_a_statement_stay() -> None:
    page = BeautifulSoup(to_html("<details><summary>hint</summary>\n\ntry $x$\n\n</details>"), "lxml")
    assert page.find("summary").get_text() == "hint"
    assert page.find("details").find("math") is not None


def test_addresses_are_text() -> None:
    text = "[here](https://a.example/x) <https://b.example> [there](../01.html#x) [run](javascript:a()) <a href='https://c.example'>c</a>"
    page = to_html(text)
    assert "here (<code>https://a.example/x</code>)" in page
    assert "run (<code>javascript:a()</code>)" in page
    assert page.count("b.example") == 1
    assert "01.html" not in page
    require_harmless(page)


def test_pictures_come_from_the_text_alone() -> None:
    attached = {"p.png": {"image/png": PNG}, "fake.png": {"image/png": base64.b64encode(b"<svg onload=a()>").decode()}}
    page = to_html(
        f"![one](attachment:p.png) ![two](attachment:none.png) ![three](attachment:fake.png) ![four](https://a.example/p.png) "
        f"![five](data:image/png;base64,{PNG}) ![six](data:image/svg+xml;base64,{PNG[:8]}) <img src='https://b.example/p.png'>",
        attached,
    )
    found = BeautifulSoup(page, "lxml")
    assert [image.get("alt") for image in found("img") if image.has_attr("src")] == ["one", "five"]
    assert "[two]" in page
    assert "[four]" in page
    assert "example" not in page
    require_harmless(page)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (PNG, "image/png"),
        (f" {PNG[:9]}\n{PNG[9:]}", "image/png"),
        (base64.b64encode(b"\xff\xd8\xff0").decode(), "image/jpeg"),
    ],
)
def test_a_picture_is_written_anew(text: str, kind: str) -> None:
    assert picture(text) == (kind, "".join(text.split()))


@pytest.mark.parametrize(
    "text",
    [f'{PNG}"><script>a()</script>', f"{PNG[:-2]}", "", "é", None, 3, [PNG], base64.b64encode(b"GIF89a").decode()],
)
def test_what_is_no_picture_is_none(text: object) -> None:
    assert picture(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "$$\\text{<script>alert(1)</script>}$$",
        "$\\text{</mtext></math><img src=x onerror=alert(1)>}$",
        "$$\\href{javascript:alert(1)}{x}$$",
        "$x$<img src=x onerror=alert(1)>",
        "<img src=x onerror=alert(1)>",
        "<svg><script>alert(1)</script><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
        "<math href='javascript:alert(1)'><mi xlink:href='javascript:alert(1)'>x</mi></math>",
        "<math><annotation-xml encoding='text/html'><script>alert(1)</script></annotation-xml></math>",
        "<meta http-equiv=refresh content='0;url=https://a.example'>",
        "<style>@import url(https://a.example/x.css);</style><link rel=stylesheet href=https://a.example/x.css>",
        "<img srcset='https://a.example/x 2x'><video poster=https://a.example/x><table background=https://a.example/x>",
        "<div style='background: url(https://a.example/x)'>x</div>",
        "<iframe srcdoc='<script>alert(1)</script>'></iframe><object data=x></object><embed src=x>",
        "<form action=https://a.example><button formaction='javascript:alert(1)'>x</button><input autofocus onfocus=alert(1)></form>",
        "<base href=https://a.example>",
        "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
        "<details open ontoggle=alert(1)>x</details><template><script>alert(1)</script></template>",
        "<div id=scaled-scores class='btn score' name=x>x</div>",
        "![x](javascript:alert(1)) ![x](data:text/html,<script>alert(1)</script>)",
        "<a href='java\nscript:alert(1)'>x</a> [x](data:text/html;base64,PHNjcmlwdD4=)",
    ],
)
def test_nothing_runs_asks_or_leads_away(text: str) -> None:
    page = to_html(text)
    require_harmless(page)
    inside = BeautifulSoup(page, "lxml")
    for shown in inside(["code", "mtext", "pre"]):
        shown.decompose()
    assert "alert(1)" not in str(inside)
    assert "a.example" not in str(inside)


def test_texts_in_formulas_are_texts() -> None:
    assert "&lt;script&gt;" in clean(formula("\\text{<script>}", display=False))
    assert "a < b" in BeautifulSoup(formula("\\text{a < b & c}", display=True), "lxml").get_text().replace("\xa0", " ")
    assert formula("\\frac", display=False) == "<code>$\\frac$</code>"
    assert formula("x" * 5000, display=True) == f"<code>$${'x' * 5000}$$</code>"


SLOW = {
    "environments": "\\begin{a}" * 20_000,
    "known environments": "\\begin{align}\n\n" * 5_000,
    "brackets": "[" * 20_000,
    "links": "[a](" * 5_000,
    "nested links": "[[[[a](b)](b)](b)](b)" * 900,
    "stars": "**a *" * 4_000,
    "ticks": "".join("`" * count + " " for count in range(190)),
    "dollars": "$a " * 6_000,
    "quotes": "> " * 10_000,
    "lists": "\n".join(" " * count + "- a" for count in range(180)),
    "elements": "<div>" * 4_000,
    "open elements": "<a b='" * 3_000,
    "comments": "<!-- " * 4_000,
    "a table": "|a" * 5_000 + "\n" + "|-" * 5_000 + "\n",
    "references": "[a]: u\n" * 2_800,
    "pictures": "![" * 10_000,
    "braces": "$" + "{" * 900 + "}" * 900 + "$",
    "fractions": "$" + "\\frac{1}{" * 180 + "1" + "}" * 180 + "$",
    "many formulas": "$\\frac{1}{2}$ " * 1_500,
    "zero bytes": "\0" * 20_000,
    "much too long": "[" * 200_000,
}


@pytest.mark.parametrize("name", SLOW)
def test_no_text_takes_long(name: str) -> None:
    began = time.process_time()
    page = to_html(SLOW[name])
    assert time.process_time() - began < 8
    require_harmless(page)


def test_what_is_too_long_or_too_deep_is_shown_as_it_was_written() -> None:
    long = "a" * (LONGEST + 1) + " <b>"
    assert to_html(long) == as_written(long) == f"<pre>{'a' * (LONGEST + 1)} &lt;b&gt;</pre>"
    deep = "<div>" * 100
    assert to_html(deep) == as_written(deep)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="<>/\"'=`$\\{}[]()!&;:#-* \nabimgsrcdtexhfjvl\0é，", max_size=200))
def test_any_text_is_harmless(text: str) -> None:
    require_harmless(to_html(text))
