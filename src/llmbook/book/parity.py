"""Holds the two languages of a chapter together: what one cell has, its partner has too.

Compared are the blocks in their order, and as multisets (word order is each language's own) labels, roles with their targets,
formulas, numerals, code and links.

Book: §0
"""

import re
from collections import Counter
from dataclasses import replace
from itertools import zip_longest

from llmbook.book.markup import Item, items, sentences
from llmbook.book.source import Cell, Finding, Source

BLOCKS = ("heading", "paragraph", "list_item", "blockquote", "tr", "directive", "code block", "figure")


def compare(source: Source) -> list[Finding]:
    """The findings of all pairs of a source, in order."""
    findings = []
    for zh, en in source.pairs():
        findings += _pair_findings(zh, en)
    for cell in source.cells:
        if cell.lang == "zh":
            findings += _chinese_findings(cell)
        for kind, zh_words, en_words in cell.figure_words:
            sides = [
                replace(cell, id=f"{cell.id} ({kind})", kind="markdown", source=words) for words in (zh_words, en_words)
            ]
            findings += _pair_findings(*sides)
    return findings


def _pair_findings(zh: Cell, en: Cell) -> list[Finding]:
    left, right = list(items(zh.source, zh.line)), list(items(en.source, en.line))
    findings = _block_findings(zh, en, left, right)
    kinds = dict.fromkeys(item.kind for item in [*left, *right] if item.kind not in BLOCKS)
    for kind in kinds:
        ours = Counter(item.value for item in left if item.kind == kind)
        theirs = Counter(item.value for item in right if item.kind == kind)
        for value in ours - theirs:
            findings.append(_missing("en", en, "zh", kind, value, left))
        for value in theirs - ours:
            findings.append(_missing("zh", zh, "en", kind, value, right))
    return findings


def _missing(lacking: str, cell: Cell, other: str, kind: str, value: str, there: list[Item]) -> Finding:
    where = next(item.line for item in there if item.kind == kind and item.value == value)
    return Finding(
        cell.path, cell.line, f"the {lacking} cell lacks the {kind} {value!r} that {other} has at line {where}"
    )


def _block_findings(zh: Cell, en: Cell, left: list[Item], right: list[Item]) -> list[Finding]:
    ours = [item for item in left if item.kind in BLOCKS]
    theirs = [item for item in right if item.kind in BLOCKS]
    for mine, other in zip_longest(ours, theirs):
        if mine is None or other is None or (mine.kind, mine.value) != (other.kind, other.value):
            shown = [
                f"{item.kind} {item.value}".strip() + f" at line {item.line}" if item else "nothing"
                for item in (mine, other)
            ]
            line = mine.line if mine else zh.line
            message = (
                f"blocks differ: zh has {shown[0]}, en has {shown[1]} (zh has {len(ours)} blocks, en {len(theirs)})"
            )
            return [Finding(zh.path, line, message)]
    return []


def _chinese_findings(cell: Cell) -> list[Finding]:
    """Traps of Chinese text: a 万 after a numeral cannot be compared; in `**词（term）**字` CommonMark closes no bold."""
    findings = []
    for text, _, line in sentences(cell.source, cell.line):
        if match := re.search(r"\d\s?[万亿]", text):
            message = f"{match[0]!r}: write all digits before 万 and 亿, so that both languages can be compared"
            findings.append(Finding(cell.path, line, message))
    for number, text in enumerate(cell.source.splitlines(), cell.line):
        parts = text.split("**")
        for bold, after in zip(parts[1::2], parts[2::2], strict=False):
            if bold[-1:] in set("）”》。，、：；！？") and after[:1].isalnum():
                message = (
                    f"'{bold}**{after[:1]}' closes no bold before a letter; put the punctuation outside: **词**（term）"
                )
                findings.append(Finding(cell.path, number, message))
    return findings
