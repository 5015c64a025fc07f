"""What a prose cell holds, read from markdown-it tokens: labels, roles, formulas, numerals, blocks.

Directives that hold prose (admonitions) are entered; the others are taken as a whole. Nothing here looks at the
text with regular expressions before it has been tokenized, so code, formulas and links are never mistaken for prose.

Book: §0
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin
from mdit_py_plugins.myst_role import myst_role_plugin

PROSE_DIRECTIVES = frozenset(
    {"note", "warning", "tip", "hint", "important", "admonition", "attention", "caution", "quiz"}
)
FENCES = frozenset({"fence", "colon_fence"})
NUMERAL = re.compile(r"\d+(?:[,\u2009\u202f ]\d{3})*(?:\.\d+)*")
OPTION = re.compile(r":([\w-]+):\s*(.*)")
CLAIM_ID = re.compile(r"\d+\.\d+\.\d+/[\w-]+")


@dataclass(frozen=True)
class Item:
    """One countable thing of a cell: its kind, its value where the value must agree, and its line in the file."""

    kind: str
    value: str
    line: int


@dataclass(frozen=True)
class Directive:
    """A fenced directive: ```` ```{name} argument ````, its `:option: value` lines, and the body below them."""

    name: str
    argument: str
    options: dict[str, str]
    body: str
    body_line: int


@dataclass(frozen=True)
class Role:
    """A role in the prose: its name, its content, the words right before it, its line in the file."""

    name: str
    content: str
    before: str
    line: int

    @property
    def target(self) -> str:
        return shown_and_target(self.content)[1]


@cache
def parser() -> MarkdownIt:
    """The dialect of the sources: CommonMark, tables, MyST targets, roles, dollar math, colon fences."""
    markdown = MarkdownIt("commonmark").enable("table")
    for plugin in (myst_block_plugin, myst_role_plugin, colon_fence_plugin):
        markdown.use(plugin)
    return markdown.use(dollarmath_plugin, allow_labels=True, allow_digits=False, double_inline=False)


def shown_and_target(content: str) -> tuple[str | None, str]:
    """What a role's content names, with the words to show for it if it brings its own: "words <target>"."""
    match = re.fullmatch(r"(.*?)\s*<(.+)>", content, re.DOTALL)
    return (match[1], match[2]) if match else (None, content)


@lru_cache(maxsize=8192)
def parsed(text: str) -> tuple[Token, ...]:
    """A text's tokens, which nobody changes: parsed once for all that look at it."""
    return tuple(parser().parse(text))


def directive(token: Token) -> Directive | None:
    """The directive that a fence token opens, or None for plain code."""
    match = re.match(r"\{([\w:-]+)\}\s*(.*)", token.info.strip())
    if token.type not in FENCES or match is None:
        return None
    lines = token.content.splitlines()
    options = {}
    skipped = 0
    for line in lines:
        option = OPTION.fullmatch(line.strip())
        if option is None:
            break
        options[option[1]] = option[2].strip()
        skipped += 1
    while skipped < len(lines) and not lines[skipped].strip():
        skipped += 1
    first = (token.map or [0, 0])[0] + 1 + skipped
    return Directive(match[1], match[2].strip(), options, "\n".join(lines[skipped:]).rstrip("\n"), first)


def claims_table(found: Directive) -> list[list[str]]:
    """The cells of a `{claims}` directive, a row a line, columns parted by "|"; a cell that is a claim's id stands for its value."""
    return [[cell.strip() for cell in line.split("|")] for line in found.body.splitlines() if line.strip()]


def _claims_cells(found: Directive, first_line: int) -> Iterator[tuple[int, str]]:
    """The cells of a `{claims}` directive with their lines in the file."""
    at = first_line + found.body_line
    return ((at + row, cell) for row, cells in enumerate(claims_table(found)) for cell in cells)


def items(text: str, first_line: int = 1) -> Iterator[Item]:
    """Yields what a cell holds, in order. `first_line` is the file's line of the cell's first line."""
    heading = ""
    for token in parsed(text):
        line = first_line + (token.map[0] if token.map else 0)
        heading = token.tag if token.type == "heading_open" else "" if token.type == "heading_close" else heading
        if token.type == "myst_target":
            yield Item("label", token.content, line)
        elif token.type == "heading_open":
            yield Item("heading", token.tag, line)
        elif token.type in ("paragraph_open", "list_item_open", "blockquote_open", "tr_open"):
            yield Item(token.type.removesuffix("_open"), "", line)
        elif token.type in ("math_block", "math_block_label"):
            yield Item("displayed formula", formula(token.content), line)
            if token.type == "math_block_label":
                yield Item("label", token.info, line)
        elif token.type in FENCES:
            yield from _fence_items(token, first_line, line)
        elif token.type == "inline" and heading not in (
            "h1",
            "h2",
        ):  # their words are the outline's, "第一章" is "Chapter 1"
            yield from _inline_items(token, line)


def formula(content: str) -> str:
    r"""A formula's comparable form: without white space, and without the words in \text{…}, which are in the page's language."""
    return re.sub(r"\s+", "", re.sub(r"\\text\{[^}]*\}", r"\\text{}", content))


def numerals(text: str) -> list[str]:
    """The numerals of a text with their thousands separators removed."""
    return [re.sub(r"[,\u2009\u202f ]", "", numeral) for numeral in NUMERAL.findall(text)]


def _fence_items(token: Token, first_line: int, line: int) -> Iterator[Item]:
    found = directive(token)
    if found is None:
        yield Item("code block", token.content, line)
        return
    yield Item("directive", found.name, line)
    for option in ("label", "name", "class"):
        if option in found.options:
            yield Item("label" if option != "class" else "class", found.options[option], line)
    if found.name == "quiz":
        yield Item("answer", found.options.get("answer", ""), line)
    if found.name == "math":
        yield Item("displayed formula", formula(found.body), line)
    elif found.name == "claims":
        for at, cell in _claims_cells(found, first_line):
            yield from [Item("role claim", cell, at)] if CLAIM_ID.fullmatch(cell) else items(cell, at)
    elif found.name in PROSE_DIRECTIVES:
        yield from items(found.argument, line)
        yield from items(found.body, first_line + found.body_line)
    elif found.name == "figure":
        yield Item("figure", found.argument.replace("/zh/", "/").replace("/en/", "/"), line)
        yield from items(found.body, first_line + found.body_line)
    else:
        yield Item("directive body", found.body, line)


def _inline_items(token: Token, line: int) -> Iterator[Item]:
    for child in token.children or []:
        if child.type in ("softbreak", "hardbreak"):
            line += 1
        elif child.type == "math_inline":
            yield Item("formula", formula(child.content), line)
        elif child.type == "code_inline":
            yield Item("code", child.content, line)
        elif child.type == "myst_role" and child.meta["name"] == "given":
            yield from (Item("numeral", numeral, line) for numeral in numerals(child.content))
        elif child.type == "myst_role":
            _, target = shown_and_target(child.content)
            yield Item(f"role {child.meta['name']}", "" if child.meta["name"] == "term" else target, line)
        elif child.type == "link_open":
            yield Item("link", str(child.attrs.get("href", "")), line)
        elif child.type == "text":
            yield from (Item("numeral", numeral, line) for numeral in numerals(child.content))


def roles(text: str, first_line: int = 1) -> Iterator[Role]:
    """Yields the roles of a cell's prose, in order; a claim that stands in a table of claims has the table's name, `claims`."""
    for token in parsed(text):
        line = first_line + (token.map[0] if token.map else 0)
        found = directive(token) if token.type in FENCES else None
        if found is not None and found.name in (*PROSE_DIRECTIVES, "figure"):
            yield from roles(found.body, first_line + found.body_line)
        elif found is not None and found.name == "claims":
            for at, cell in _claims_cells(found, first_line):
                yield from [Role("claims", cell, "", at)] if CLAIM_ID.fullmatch(cell) else roles(cell, at)
        elif token.type == "inline":
            before = ""
            for child in token.children or []:
                line += child.type in ("softbreak", "hardbreak")
                if child.type == "myst_role":
                    yield Role(child.meta["name"], child.content, before, line)
                before = child.content if child.type == "text" else ""


def sentences(text: str, first_line: int = 1) -> Iterator[tuple[str, frozenset[str], int]]:
    """Yields the sentences of a cell's prose: (plain text without formulas, code and roles, the names of its roles, line)."""
    for token in parsed(text):
        line = first_line + (token.map[0] if token.map else 0)
        found = directive(token) if token.type in FENCES else None
        if found is not None and found.name in (*PROSE_DIRECTIVES, "figure"):
            yield from sentences(found.body, first_line + found.body_line)
        elif found is not None and found.name == "claims":
            for at, cell in _claims_cells(found, first_line):
                yield from () if CLAIM_ID.fullmatch(cell) else sentences(cell, at)
        elif token.type == "inline":
            yield from _split_sentences(token, line)


def _split_sentences(token: Token, line: int) -> Iterator[tuple[str, frozenset[str], int]]:
    words, roles, start = "", set(), line
    for child in token.children or []:
        line += child.type in ("softbreak", "hardbreak")
        if child.type == "myst_role":
            roles.add(child.meta["name"])
            words += "\ufffc"
        elif child.type in ("math_inline", "code_inline"):
            words += "\ufffc"
        elif child.type in ("softbreak", "hardbreak") and words.rstrip().endswith(tuple("。！？；.!?;")):
            yield words, frozenset(roles), start
            words, roles, start = "", set(), line
        elif child.type in ("softbreak", "hardbreak"):
            words += " "
        elif child.type == "text":
            start = start if words.strip() else line
            *whole, rest = re.split(r"(?<=[。！？；])|(?<=[.!?;])\s", child.content)
            for part in whole:
                yield words + part, frozenset(roles), start
                words, roles, start = "", set(), line
            words += rest
    if words.strip():
        yield words, frozenset(roles), start
