"""Somebody else's Markdown as HTML that runs nothing, asks nobody and leads nowhere.

Markdown is read by markdown-it, formulas become MathML by latex2mathml, and what comes of both goes through a sanitizer (nh3, Mozilla's
ammonia) with a list of what is allowed: elements of text, tables, formulas, and pictures that stand in the text itself. A link's address
is shown as text. Each step is bounded: what is too long or too deep is shown as it was written.

Leaves out: styles, classes, ids, SVG.

Book: §0
"""

import html
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from xml.etree import ElementTree

import nh3
from latex2mathml.converter import convert_to_element
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from mdit_py_plugins.amsmath import amsmath_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

from llmbook.grading.received import picture

LONGEST = 20_000  # characters of a text that is set; past it, it is shown as it was written
LONGEST_FORMULA = 2_000
DEEPEST = 60  # elements within one another
TEXT = (
    "p br hr h1 h2 h3 h4 h5 h6 blockquote pre code kbd samp em strong b i u s del ins sub sup small mark ul ol li dl dt dd table thead "
    "tbody tfoot tr th td caption details summary div span img figure figcaption"
)
MATH = (
    "math mrow mi mn mo ms mtext mspace msup msub msubsup mover munder munderover mfrac msqrt mroot mtable mtr mtd mstyle menclose mpadded "
    "mphantom mmultiscripts mprescripts none"
)
ATTRIBUTES = {
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "th": {"colspan", "rowspan"},
    "td": {"colspan", "rowspan"},
    "details": {"open"},
    "math": {"xmlns", "display"},
}
OF_MATH = {
    *(
        "mathvariant",
        "stretchy",
        "fence",
        "separator",
        "form",
        "accent",
        "movablelimits",
        "minsize",
        "maxsize",
        "lspace",
        "rspace",
    ),
    *(
        "width",
        "height",
        "depth",
        "linethickness",
        "columnalign",
        "columnspacing",
        "rowspacing",
        "displaystyle",
        "scriptlevel",
        "notation",
    ),
}
GONE_WHOLE = {
    "script",
    "style",
    "title",
    "textarea",
    "iframe",
    "object",
    "noscript",
    "template",
    "svg",
    "select",
    "xmp",
}
TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
EMPTY = {"br", "hr", "img"}


def to_html(text: str, attachments: Mapping[str, Any] | None = None) -> str:
    """A Markdown text as harmless HTML.

    Args:
        attachments: a notebook cell's pictures, {name: {"image/png": base64}}, for `![](attachment:name)`.
    """
    if len(text) > LONGEST:
        return as_written(text)
    try:
        found = clean(_markdown().render(text, {"attachments": attachments or {}}))
    except RecursionError:
        return as_written(text)
    return found if _depth(found) <= DEEPEST else as_written(text)


def as_written(text: str) -> str:
    """A text as it was written, in a frame of its own."""
    return f"<pre>{html.escape(text)}</pre>"


def clean(page: str) -> str:
    """HTML with nothing in it but what is allowed."""
    return nh3.clean(
        page,
        tags={*TEXT.split(), *MATH.split()},
        attributes=ATTRIBUTES | {name: OF_MATH for name in MATH.split() if name != "math"},
        attribute_filter=_kept,
        clean_content_tags=GONE_WHOLE,
        url_schemes={"data"},
        link_rel=None,
    )


def _kept(element: str, name: str, value: str) -> str | None:
    """An attribute's value, or None to leave it out: pictures only from the page itself."""
    if name in ("src", "href", "background", "poster", "srcset"):
        head, _, data = value.partition(",")
        found = picture(data) if element == "img" and name == "src" and head.startswith("data:image/") else None
        return f"data:{found[0]};base64,{found[1]}" if found else None
    return value


def _depth(page: str) -> int:
    depth = deepest = 0
    for closes, name in TAG.findall(page):
        if name not in EMPTY:
            depth += -1 if closes else 1
            deepest = max(deepest, depth)
    return deepest


def formula(tex: str, display: bool) -> str:
    """MathML of a formula; a formula that cannot be read is shown as it was written."""
    shown = "block" if display else "inline"
    try:
        if len(tex) > LONGEST_FORMULA:
            raise ValueError("too long")
        element = convert_to_element(tex, display=shown)
        for part in element.iter():  # characters stand there as references, and would be escaped once more
            part.text = part.text and html.unescape(part.text)
        return ElementTree.tostring(element, encoding="unicode")
    except Exception:  # a formula of a student's may be anything
        mark = "$$" if display else "$"
        return f"<code>{html.escape(f'{mark}{tex}{mark}')}</code>"


@cache
def _markdown() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    reader.use(dollarmath_plugin, allow_labels=False, allow_space=False, allow_digits=False, double_inline=True)
    reader.use(amsmath_plugin)
    for name in ("math_inline", "math_inline_double", "math_block", "amsmath"):
        reader.add_render_rule(name, _math)
    reader.add_render_rule("link_open", _nothing)
    reader.add_render_rule("link_close", _address)
    reader.add_render_rule("image", _image)
    reader.validateLink = lambda url: True  # type: ignore[method-assign]  # addresses are only shown
    return reader


def _math(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    return formula(tokens[at].content, tokens[at].type != "math_inline")


def _nothing(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    return ""


def _address(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """The address of a link that ends here, unless it is its own text or leads to another place of the book."""
    opening = next(
        token for token in reversed(tokens[:at]) if token.type == "link_open" and token.level == tokens[at].level
    )
    url = str(opening.attrGet("href") or "")
    return "" if opening.markup == "autolink" or ":" not in url else f" (<code>{html.escape(url)}</code>)"


def _image(self: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    url = str(tokens[at].attrGet("src") or "")
    alt = html.escape(self.renderInlineAsText(tokens[at].children, options, env))
    kinds = env["attachments"].get(url.removeprefix("attachment:")) if url.startswith("attachment:") else None
    inside = [url.partition(",")[2]] if url.startswith("data:image/") else []
    for data in kinds.values() if isinstance(kinds, Mapping) else inside:
        if found := picture(data):
            return f'<img src="data:{found[0]};base64,{found[1]}" alt="{alt}">'
    return f"[{alt or html.escape(url[:200])}]"
