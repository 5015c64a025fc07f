"""No number without a run: finds experimental numbers that were typed into the prose.

A decimal, a percentage, or a numeral before a unit or 倍/times must come from a run (`{claim}`) or be declared as given
(`{given}`), unless it stands in a formula, in code, or in a sentence that cites its source.

Book: §0
"""

import re

from llmbook.book.markup import sentences
from llmbook.book.source import Finding, Source

UNITS = (
    "倍|秒|毫秒|分钟|小时|天|字节|个百分点|兆|times|seconds?|minutes?|hours?|ms|s|[KMGT]i?B|bytes?|percent|BLEU|W|kWh"
)
LITERAL = re.compile(
    rf"(?<![\d.])\d+\.\d+(?![\d.]*\.\d)|\d\s*[%％‰]|(?<![\d.])\d+(?:\.\d+)?\s*(?:{UNITS})(?![A-Za-z])|\d\s*×(?!\s*\d)"
)


def literal_numbers(source: Source) -> list[Finding]:
    """One finding for every sentence with a literal experimental number."""
    findings = []
    for cell in source.cells:
        words = [cell.source] if cell.kind == "markdown" else [w for _, *both in cell.figure_words for w in both]
        for text, roles, line in (found for word in words for found in sentences(word, cell.line)):
            match = LITERAL.search(text)
            if match and not any(role.startswith("cite") for role in roles):
                message = (
                    f"literal number {match[0]!r} in the prose: take it from a run with {{claim}}, or mark it {{given}}"
                )
                findings.append(Finding(cell.path, line, message))
    return findings
