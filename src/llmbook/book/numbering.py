"""Numbers and names of everything that can be referred to: sections, points, equations, figures.

Equations and figures are counted within their section (1.2.k), labelled ones only, in the order in which they stand; a test compares all
numbers with those that Sphinx gives.

Book: §0
"""

import re
from dataclasses import dataclass

from llmbook.book.markup import FENCES, directive, parsed
from llmbook.book.source import Finding, Source, SourceError

FIGURE_WORD = {"zh": "图", "en": "Figure"}
EQUATION_WORD = {"zh": "式", "en": "Eq."}


@dataclass(frozen=True)
class Target:
    """Where a label leads: its kind (chapter, section, point, page, equation, figure), number, title, and the heading above it."""

    label: str
    kind: str
    number: str
    title: str
    slug: str
    anchor: str


def heading_text(kind: str, number: str, title: str) -> str:
    """A heading as the reader's notebook shows it: "1.2.1 Title"; chapters carry their number in the title."""
    return f"{number} {title}" if kind in ("section", "point") else title


def jupyter_anchor(text: str) -> str:
    """The fragment under which JupyterLab finds a heading."""
    return re.sub(r"[$`*]", "", text).replace(" ", "-")


def targets(source: Source, lang: str) -> dict[str, Target]:
    """All labels of one edition of a source.

    Raises:
        SourceError: a label is used twice.
    """
    found: dict[str, Target] = {}
    section, anchor = "", ""
    counts = {"equation": 0, "figure": 0}
    findings = []

    def add(kind: str, label: str, number: str, title: str, line: int) -> None:
        if label in found:
            findings.append(Finding(cell.path, line, f"the label {label!r} is used twice"))
        found[label] = Target(label, kind, number, title, source.slug, anchor)

    def count(kind: str, label: str, title: str, line: int) -> None:
        counts[kind] += 1
        add(kind, label, f"{section}.{counts[kind]}", title, line)

    for cell in source.edition(lang):
        if cell.kind == "code":
            figure = cell.metadata.get("figure", {})
            if figure:
                count("figure", figure["name"], figure["caption"][lang], cell.line)
            continue
        tokens = parsed(cell.source)
        for index, token in enumerate(tokens):
            line = cell.line + (token.map[0] if token.map else 0)
            if token.type == "myst_target":
                kind, _, tail = token.content.partition("-")
                kind = kind if kind in ("chapter", "section", "point") else "page"
                number = tail.replace("-", ".") if kind != "page" else ""
                title = (
                    tokens[index + 2].content
                    if index + 2 < len(tokens) and tokens[index + 1].type == "heading_open"
                    else ""
                )
                if kind == "section":
                    section, counts = number, {"equation": 0, "figure": 0}
                anchor = jupyter_anchor(heading_text(kind, number, title))
                add(kind, token.content, number, title, line)
            elif token.type == "math_block_label":
                count("equation", token.info, "", line)
            elif token.type in FENCES and (fence := directive(token)) is not None:
                if fence.name == "math" and "label" in fence.options:
                    count("equation", fence.options["label"], "", line)
                elif fence.name == "figure" and "name" in fence.options:
                    count("figure", fence.options["name"], fence.body.strip(), line)
    if findings:
        raise SourceError(findings)
    return found
