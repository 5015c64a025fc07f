"""Passages in the other language carry `lang`: Chinese on English pages, English of two or more words on Chinese ones.

Screen readers change their voice by it, browsers the shapes of characters and the place where a line is broken. A class
`language-…` becomes the attribute `lang` in docutils' HTML.

Book: §0
"""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

HAN = r"\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
MARKS = r"\u3001-\u3006\u3008-\u3011\u3014-\u301f\uff01-\uff0f\uff1a-\uff1f“”‘’…—·"
LATIN = r"A-Za-z\u00c0-\u024f\u1e00-\u1eff"
WORD = rf"(?<![{LATIN}])[A-Za-z]+(?:[-'’.][A-Za-z]+)*(?![{LATIN}])"  # not what is left of pinyin between its accents
FOREIGN = {
    # Chinese with its marks, from one character to another or to the mark that ends it
    "en": ("zh-CN", re.compile(rf"[{HAN}](?:[{HAN}{MARKS}\s0-9]*[{HAN}](?:[\u3002\uff01\uff1f])?)?")),
    "zh_CN": ("en", re.compile(rf"{WORD}(?:[,;:]? {WORD})+")),
}
WITHOUT = (nodes.literal, nodes.FixedTextElement, nodes.math, nodes.math_block, nodes.raw, nodes.comment)


CLOSING = re.compile(r"[。，、；：？！）”’」』》,.;:?!)\]]+")
SHORT = 24  # letters of TeX: a longer formula may have to be broken itself


class KeepMarks(SphinxPostTransform):
    """A line may be broken around the box of a formula, but not before the mark that follows it."""

    default_priority = 890
    formats = ("html",)

    def run(self, **_: object) -> None:
        for formula in list(self.document.findall(nodes.math)):
            text = formula.next_node(descend=False, siblings=True)
            if not isinstance(text, nodes.Text) or len(formula.astext()) > SHORT:
                continue
            mark = CLOSING.match(text.astext())
            if mark:
                exchange(text, [nodes.Text(text.astext()[mark.end() :])])
                exchange(formula, [together := nodes.inline(classes=["llmbook-together"])])
                together += [formula, nodes.Text(mark[0])]


class MarkPassages(SphinxPostTransform):
    """Wraps each passage that is in the other language; code, formulas and raw HTML stay as they are."""

    default_priority = 900
    formats = ("html",)

    def run(self, **_: object) -> None:
        code, passage = FOREIGN[self.config.language]
        for text in list(self.document.findall(nodes.Text)):
            if text.parent is None or within(text, WITHOUT) or not passage.search(text):
                continue
            exchange(text, split(text.astext(), passage, f"language-{code}"))


def exchange(node: nodes.Node, parts: list[nodes.Node]) -> None:
    """Puts these in the node's place. (`replace` would take the first that is equal: two commas are equal texts.)"""
    place = next(i for i, child in enumerate(node.parent.children) if child is node)
    node.parent[place : place + 1] = parts


def within(node: nodes.Node, kinds: tuple[type[nodes.Node], ...]) -> bool:
    """Whether the node stands in one of these, or in what has a language already."""
    parent = node.parent
    while parent is not None:
        if isinstance(parent, kinds) or any(name.startswith("language-") for name in parent.get("classes", ())):
            return True
        parent = parent.parent
    return False


def split(text: str, passage: re.Pattern[str], name: str) -> list[nodes.Node]:
    """The text as plain stretches and passages of the class `name`."""
    parts: list[nodes.Node] = []
    done = 0
    for match in passage.finditer(text):
        if match.start() > done:
            parts.append(nodes.Text(text[done : match.start()]))
        parts.append(nodes.inline("", match[0], classes=[name]))
        done = match.end()
    return [*parts, nodes.Text(text[done:])] if done < len(text) else parts


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(KeepMarks)
    app.add_post_transform(MarkPassages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
