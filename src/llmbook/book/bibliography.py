"""The bibliography (`chapters/references.bib`) in the short form that a notebook shows: (Vaswani et al., 2017).

Book: §0
"""

from functools import cache

from pybtex.database import Entry, parse_file

from llmbook import paths


@cache
def short_citations() -> dict[str, tuple[str, str]]:
    """key → ("Vaswani et al., 2017", address or "")."""
    entries = parse_file(str(paths.chapters_dir() / "references.bib"), "bibtex").entries
    return {key: (f"{_authors(entry)}, {entry.fields['year']}", _address(entry)) for key, entry in entries.items()}


def _authors(entry: Entry) -> str:
    names = [" ".join(person.prelast_names + person.last_names).strip("{}") for person in entry.persons["author"]]
    if len(names) > 2:
        return f"{names[0]} et al."
    return " & ".join(names)


def _address(entry: Entry) -> str:
    if "doi" in entry.fields:
        return f"https://doi.org/{entry.fields['doi']}"
    return str(entry.fields.get("url", ""))
