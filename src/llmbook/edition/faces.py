"""The two faces of a prose cell: plain Markdown for the reader's notebook, MyST for the site.

Both have the claims and given numbers set in. The reader's face turns every role, directive and label into what JupyterLab, VS Code or a
plain viewer shows well: links with numbers, `\\tag`, quotations, `<details>`.

Book: §0
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markdown_it.token import Token

from llmbook.book.markup import (
    CLAIM_ID,
    FENCES,
    PROSE_DIRECTIVES,
    Directive,
    claims_table,
    directive,
    parsed,
    parser,
    shown_and_target,
)
from llmbook.book.numbering import EQUATION_WORD, FIGURE_WORD, Target, heading_text
from llmbook.book.quiz import quiz
from llmbook.results import Form, Result, written

QUIZ = {
    "zh": {"head": "小测", "choose": "选 {letter}", "right": "对。", "wrong": "不对。"},
    "en": {"head": "Quiz", "choose": "Choose {letter}", "right": "Right.", "wrong": "Wrong."},
}
CLAIM_FORMS: dict[str, Form] = {"claim": "interval", "claim:mean": "mean"}
ADMONITIONS = {
    "zh": {
        "note": "注",
        "warning": "警告",
        "tip": "提示",
        "hint": "提示",
        "important": "重要",
        "attention": "注意",
        "caution": "当心",
    },
    "en": {
        "note": "Note",
        "warning": "Warning",
        "tip": "Tip",
        "hint": "Hint",
        "important": "Important",
        "attention": "Attention",
        "caution": "Caution",
    },
}


@dataclass(frozen=True)
class Context:
    """What a face needs to know: language, the page's slug, labels, claims by id, the sources' short forms (text, address), and the table
    that stands for a `{notation}` directive.
    """

    lang: str
    slug: str
    targets: dict[str, Target]
    claims: Mapping[str, Mapping[str, Any]]
    citations: dict[str, tuple[str, str]]
    notation: str = ""


class MarkupError(ValueError):
    """A role or directive that no face knows, or that points to nothing."""


def site_face(text: str, context: Context) -> str:
    """The cell for Sphinx: as it is, with claims and given numbers set in and each diagram taken from its language's folder."""

    def role(name: str, content: str) -> str | None:
        return content if name == "given" else claim_text(name, content, context)

    def block(token: Token, raw: str) -> str | None:
        found = directive(token) if token.type in FENCES else None
        if found is not None and found.name == "figure":
            return raw.replace(found.argument, f"/diagrams/{found.argument}", 1)
        if found is not None and found.name == "claims":
            return pipe_table(found, context, lambda cell: _rewrite_inline(cell, role))
        if found is not None and found.name == "notation":
            return _notation(context)
        if found is not None and found.name in PROSE_DIRECTIVES:
            head, _, body = raw.partition("\n")
            inner, fence = body.rsplit("\n", 1)
            return "\n".join([_rewrite_inline(head, role), rewrite(inner, role, block), fence])
        return None

    return rewrite(text, role, block)


def reader_face(text: str, context: Context) -> str:
    """The cell for a notebook that no MyST extension reads."""

    def role(name: str, content: str) -> str | None:
        shown, target = shown_and_target(content)
        if (text := claim_text(name, content, context)) is not None:
            return text
        if name == "given":
            return content
        if name == "term":
            return shown or content
        if name in ("cite:p", "cite:t", "cite"):
            links = [_citation(key.strip(), context, textual=name == "cite:t") for key in content.split(",")]
            joined = ("；" if context.lang == "zh" else "; ").join(links)
            return joined if name == "cite:t" else f"（{joined}）" if context.lang == "zh" else f"({joined})"
        if name in ("ref", "numref", "eq"):
            return _reference(name, target, shown, context)
        raise MarkupError(f"unknown role {{{name}}}`{content}`")

    def block(token: Token, raw: str) -> str | None:
        if token.type == "myst_target":
            return ""
        if token.type == "math_block_label":
            return f"$$\n{token.content.strip()} \\tag{{{_find(token.info, context).number}}}\n$$"
        found = directive(token) if token.type in FENCES else None
        return None if found is None else _reader_directive(found, context, lambda inner: rewrite(inner, role, block))

    plain = rewrite(text, role, block).replace(" （[", "（[")  # Chinese sets no space before a bracket
    return _number_headings(plain, text, context).strip("\n")


def claim_text(role: str, content: str, context: Context) -> str | None:
    """A claim's value as the prose shows it: {claim} with its interval, {claim:mean} the mean alone; None for other roles.

    The words of {claim:mean}`none <id>` stand in where the value is zero. "[?]" is shown in a draft whose claim no run has made yet (a
    locked build refuses that).
    """
    if role not in CLAIM_FORMS:
        return None
    word, claim_id = shown_and_target(content)
    claim = context.claims.get(claim_id)
    if claim is None:
        return "[?]"
    result = Result.of(claim["values"], unit=claim["unit"])
    if word is not None and result.mean == 0:
        return word
    return written(result, digits=claim.get("digits"), form=CLAIM_FORMS[role], lang=context.lang)


def pipe_table(found: Directive, context: Context, inner: Callable[[str], str]) -> str:
    """A `{claims}` directive as a table: its first row is the head, columns of values stand to the right."""
    head, *rows = claims_table(found)
    if not rows or any(len(row) != len(head) for row in rows):
        raise MarkupError(f"the table of claims headed {' | '.join(head)!r} needs rows of {len(head)} cells")
    marks = ["---:" if CLAIM_ID.fullmatch(cell) else "---" for cell in rows[0]]
    values = [
        [claim_text("claim", cell, context) or "" if CLAIM_ID.fullmatch(cell) else inner(cell) for cell in row]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in [[inner(cell) for cell in head], marks, *values])


def _notation(context: Context) -> str:
    if not context.notation:
        raise MarkupError("chapters/notation.md has no table for this chapter, below a label such as (notation-1)=")
    return context.notation


def rewrite(text: str, role: Callable[[str, str], str | None], block: Callable[[Token, str], str | None]) -> str:
    """Rewrites a cell's blocks by `block(token, raw)` and, where that gives None, its roles by `role(name, content)`; None keeps."""
    lines = text.splitlines()
    out, done = [], 0
    tokens = parsed(text)
    for token in (t for t in tokens if t.level == 0 and t.nesting >= 0 and t.map):
        start, end = token.map or (0, 0)
        out += lines[done:start]
        raw = "\n".join(lines[start:end])
        replaced = block(token, raw)
        if replaced is None:
            inner = [t for t in tokens if t.type == "inline" and t.map and start <= t.map[0] < end]
            replaced = _rewrite_tokens(raw, inner, role)
        out += replaced.splitlines() if replaced else []
        done = end
    return "\n".join(out + lines[done:])


def _rewrite_inline(raw: str, role: Callable[[str, str], str | None]) -> str:
    return _rewrite_tokens(raw, [t for t in parser().parseInline(raw) if t.type == "inline"], role)


def _rewrite_tokens(raw: str, inlines: list[Token], role: Callable[[str, str], str | None]) -> str:
    out, cursor = [], 0
    for child in (child for inline in inlines for child in inline.children or []):
        if child.type == "code_inline":
            at = raw.find(child.content, cursor)
            end = at + len(child.content)
            if at >= 0:
                out.append(raw[cursor:end])
                cursor = end
        elif child.type == "myst_role":
            match = re.compile(
                r"\{" + re.escape(child.meta["name"]) + r"\}(`+)" + re.escape(child.content) + r"\1"
            ).search(raw, cursor)
            replaced = role(child.meta["name"], child.content)
            if match and replaced is not None:
                out += [raw[cursor : match.start()], replaced]
                cursor = match.end()
    return "".join([*out, raw[cursor:]])


def _reader_directive(found: Directive, context: Context, inner: Callable[[str], str]) -> str:
    if found.name == "math":
        tag = f" \\tag{{{_find(found.options['label'], context).number}}}" if "label" in found.options else ""
        return f"$$\n{found.body}{tag}\n$$"
    if found.name == "figure":
        number = _find(found.options["name"], context).number
        alt = found.options.get("alt", "")
        return f"![{alt}][{found.argument}]\n\n**{FIGURE_WORD[context.lang]} {number}** {inner(found.body)}"
    if found.name in ("claims", "notation"):
        return pipe_table(found, context, inner) if found.name == "claims" else _notation(context)
    if found.name == "quiz":
        return _reader_quiz(found, context, inner)
    if found.name in PROSE_DIRECTIVES:
        title = inner(found.argument) or ADMONITIONS[context.lang].get(found.name, "")
        if "dropdown" in found.options.get("class", ""):
            return f"<details>\n<summary>{title}</summary>\n\n{inner(found.body)}\n\n</details>"
        return "\n".join(f"> {line}".rstrip() for line in [f"**{title}**", "", *inner(found.body).splitlines()])
    raise MarkupError(f"unknown directive {{{found.name}}}")


def _reader_quiz(found: Directive, context: Context, inner: Callable[[str], str]) -> str:
    """The question, its options with letters, and below each what choosing it means, folded."""
    words = QUIZ[context.lang]
    asked = quiz(found)
    parts = [f"**{words['head']}** {inner(asked.question)}"]
    for number, (text, reason) in enumerate(asked.options):
        letter = "ABCDEFGH"[number]
        verdict = words["right" if number == asked.answer else "wrong"]
        gap = "" if context.lang == "zh" else " "
        parts.append(f"{letter}. {inner(text)}")
        summary = f"<summary>{words['choose'].format(letter=letter)}</summary>"
        parts.append(f"<details>\n{summary}\n\n**{verdict}**{gap}{inner(reason)}\n\n</details>")
    return "\n\n".join(parts)


def _find(label: str, context: Context) -> Target:
    if label not in context.targets:
        raise MarkupError(f"nothing has the label {label!r}")
    return context.targets[label]


def _reference(name: str, label: str, shown: str | None, context: Context) -> str:
    target = _find(label, context)
    if name == "eq":
        return f"{EQUATION_WORD[context.lang]} ({target.number})"
    if target.kind == "figure":
        return f"{FIGURE_WORD[context.lang]} {target.number}"
    text = shown or heading_text(target.kind, target.number, target.title)
    page = "" if target.slug == context.slug else f"{target.slug}.ipynb"
    return f"[{text}]({page}#{target.anchor})"


def _citation(key: str, context: Context, *, textual: bool) -> str:
    if key not in context.citations:
        raise MarkupError(f"no source {key!r} in chapters/references.bib")
    text, url = context.citations[key]
    shown = re.sub(r", (\d{4}\w?)$", r" (\1)", text) if textual else text
    return f"[{shown}]({url})" if url else shown


def _number_headings(text: str, original: str, context: Context) -> str:
    tokens = parsed(original)
    for before, token in pairwise(tokens):
        if before.type == "myst_target" and token.type == "heading_open":
            target = _find(before.content, context)
            line = f"{token.markup} {target.title}"
            text = text.replace(line, f"{token.markup} {heading_text(target.kind, target.number, target.title)}", 1)
    return text
