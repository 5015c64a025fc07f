"""The bibliography (`chapters/references.bib`) in the short form that a notebook shows: (Vaswani et al., 2017).

Book: §0
"""

from functools import cache

from pybtex.database import Entry, parse_file
from pybtex.exceptions import PybtexError

from llmbook import paths
from llmbook.committed import damaged


@cache
def short_citations() -> dict[str, tuple[str, str]]:
    """key → ("Vaswani et al., 2017", address or "")."""
    path = paths.chapters_dir() / "references.bib"
    try:
        entries = parse_file(str(path), "bibtex").entries
    except (PybtexError, UnicodeDecodeError) as error:
        raise damaged(path, str(error)) from error
    return {key: (short_citation(entry), _address(entry)) for key, entry in entries.items()}


def short_citation(entry: Entry) -> str:
    """As a text cites an entry: "Vaswani et al., 2017", "Xiong & Yang, 2020"."""
    persons = entry.persons.get("author", [])
    names = [" ".join(person.prelast_names + person.last_names).strip("{}") for person in persons]
    who = f"{names[0]} et al." if len(names) > 2 else " & ".join(names)
    return ", ".join(part for part in (who, entry.fields.get("year", "")) if part)


def _address(entry: Entry) -> str:
    if "doi" in entry.fields:
        return f"https://doi.org/{entry.fields['doi']}"
    return str(entry.fields.get("url", ""))
