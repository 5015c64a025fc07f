"""Quiz questions: the `quiz` directive, a numbered list of options in which every option gives its reason.

```{quiz} The question
:label: quiz-name
:answer: 2

1. an option

   why it is wrong, or right
```

Book: §0
"""

from dataclasses import dataclass

from llmbook.book.markup import FENCES, Directive, directive, parsed
from llmbook.book.source import Finding, Source

FEWEST = 3


@dataclass(frozen=True)
class Quiz:
    """A question, its options as (text, reason), and which of them is right, counted from 0."""

    question: str
    options: tuple[tuple[str, str], ...]
    answer: int


def quiz(found: Directive) -> Quiz:
    """Reads a `quiz` directive.

    Raises:
        ValueError: no label, no question, fewer than three options, an option without a reason, an answer that is no option's number.
    """
    name = found.options.get("label", "")
    if not found.argument or not name.startswith("quiz-"):
        raise ValueError("a quiz needs its question behind {quiz}, and below it :label: quiz-name")
    lines = found.body.splitlines()
    options = []
    for token in parsed(found.body):
        if token.type != "list_item_open" or token.level != 1 or token.map is None:
            continue
        start, end = token.map
        indent = len(token.markup) + len(token.info) + 1
        item = "\n".join(line[indent:] for line in lines[start:end]).strip()
        text, _, reason = item.partition("\n\n")
        if not reason.strip():
            raise ValueError(f"the option {text[:40]!r} of {name} gives no reason")
        options.append((" ".join(text.split()), reason.strip()))
    answer = found.options.get("answer", "")
    if len(options) < FEWEST:
        raise ValueError(f"{name} has {len(options)} options; expected at least {FEWEST}")
    if not answer.isdecimal() or not 1 <= int(answer) <= len(options):
        raise ValueError(f"the answer of {name} is {answer!r}; expected a number from 1 to {len(options)}")
    return Quiz(found.argument, tuple(options), int(answer) - 1)


def quizzes(source: Source, lang: str) -> dict[str, Quiz]:
    """The quizzes of one edition of a source by label."""
    fences = [
        found
        for cell in source.edition(lang)
        if cell.kind == "markdown"
        for token in parsed(cell.source)
        if token.type in FENCES and (found := directive(token)) is not None and found.name == "quiz"
    ]
    return {found.options["label"]: quiz(found) for found in fences}


def quiz_findings(source: Source) -> list[Finding]:
    """The quizzes of a source that cannot be read."""
    findings = []
    for cell in source.cells:
        if cell.kind != "markdown":
            continue
        for token in parsed(cell.source):
            found = directive(token) if token.type in FENCES else None
            if found is None or found.name != "quiz":
                continue
            try:
                quiz(found)
            except ValueError as error:
                findings.append(Finding(cell.path, cell.line + (token.map or [0])[0], str(error)))
    return findings
