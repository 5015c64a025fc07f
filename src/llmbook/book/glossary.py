"""One term a concept: the glossary (`chapters/glossary.toml`) and the check that both editions keep to it.

An entry has `zh` and `en` (house forms, first one preferred), `avoid_zh` / `avoid_en` (forms that must not
appear), `paired` (where one edition's cell uses the term, the other's must too), and a definition in each language.

Book: §0
"""

import re
from dataclasses import dataclass
from functools import cache

from llmbook import paths
from llmbook.book.markup import sentences
from llmbook.book.source import Cell, Finding, Source
from llmbook.committed import read_toml


@dataclass(frozen=True)
class Term:
    """A concept's house forms in both languages, the forms to avoid, and its definition."""

    zh: tuple[str, ...]
    en: tuple[str, ...]
    avoid_zh: tuple[str, ...] = ()
    avoid_en: tuple[str, ...] = ()
    paired: bool = False
    definition: dict[str, str] | None = None


@cache
def load_terms() -> list[Term]:
    """The glossary's entries in the file's order."""
    entries = read_toml(paths.chapters_dir() / "glossary.toml", "term")
    return [
        Term(
            zh=tuple(entry["zh"]),
            en=tuple(entry["en"]),
            avoid_zh=tuple(entry.get("avoid_zh", ())),
            avoid_en=tuple(entry.get("avoid_en", ())),
            paired=entry.get("paired", False),
            definition=entry.get("definition"),
        )
        for entry in entries
    ]


def glossary_page(lang: str) -> str:
    """The glossary as a MyST page of one language: every defined term with its name in the other language."""
    other = "en" if lang == "zh" else "zh"
    title = {"zh": "术语表", "en": "Glossary"}[lang]
    lines = [f"(glossary)=\n# {title}\n", "```{glossary}"]
    for term in sorted(
        (term for term in load_terms() if term.definition), key=lambda term: getattr(term, lang)[0].lower()
    ):
        assert term.definition
        lines += [
            *getattr(term, lang),
            f"  {getattr(term, other)[0]}{'。' if lang == 'zh' else '. '}{term.definition[lang]}",
            "",
        ]
    return "\n".join([*lines[:-1], "```", ""])


def term_findings(source: Source) -> list[Finding]:
    """Forms to avoid, and paired terms that only one language of a pair uses."""
    findings = []
    terms = load_terms()
    for zh, en in source.pairs():
        text = {"zh": _prose(zh), "en": _prose(en)}
        for term in terms:
            for lang, cell in (("zh", zh), ("en", en)):
                forms = term.avoid_zh if lang == "zh" else term.avoid_en
                for form in forms:
                    if _uses(text[lang], form):
                        message = f"{lang} says {form!r}; the book's term is {getattr(term, lang)[0]!r}"
                        findings.append(Finding(cell.path, cell.line, message))
            if term.paired:
                ours, theirs = (any(_uses(text[lang], form) for form in getattr(term, lang)) for lang in ("zh", "en"))
                if ours != theirs:
                    lang, cell, other = ("en", en, "zh") if ours else ("zh", zh, "en")
                    message = f"{other} uses {getattr(term, other)[0]!r}, {lang} nowhere says {' or '.join(getattr(term, lang))!r}"
                    findings.append(Finding(cell.path, cell.line, message))
    return findings


def _prose(cell: Cell) -> str:
    return "\n".join(text for text, _, _ in sentences(cell.source, cell.line))


def _uses(text: str, form: str) -> bool:
    if form.isascii():
        return re.search(rf"(?<![A-Za-z]){re.escape(form)}(?:e?s)?(?![A-Za-z])", text, re.IGNORECASE) is not None
    return form in text
