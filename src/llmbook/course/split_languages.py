"""From one bilingual source to one notebook a language, in two faces; refuses a source whose languages have drifted apart.

Cell ids come from chapter and index, so the same source gives the same bytes.

Book: §0
"""

import base64
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from llmbook import paths
from llmbook.course import glossary, literals, lock, outline, parity
from llmbook.course.assignment import exercise_notebook, exercise_targets
from llmbook.course.atomic import write_text
from llmbook.course.bibliography import short_citations
from llmbook.course.diagrams import diagram
from llmbook.course.exercises import exercises
from llmbook.course.expected import expected_claims, expected_outputs
from llmbook.course.faces import Context, MarkupError, reader_face, site_face
from llmbook.course.lock import sha
from llmbook.course.markup import FENCES, directive, items, parser
from llmbook.course.numbering import FIGURE_WORD, Target, targets
from llmbook.course.quiz import quiz_findings
from llmbook.course.source import LANGUAGES, Cell, Finding, Source, SourceError, chapter_files, read, require_language

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def findings(source: Source, *, locked: bool = True) -> list[Finding]:
    """Everything that keeps a source from being built, with file and line; `locked=False` leaves lock and claims aside (drafts)."""
    return [
        *parity.compare(source),
        *outline.heading_findings(source),
        *glossary.term_findings(source),
        *literals.literal_numbers(source),
        *quiz_findings(source),
        *_unused_labels(source),
        *_pictures_without_words(source),
        *([*_claim_findings(source), *lock.lock_findings(source)] if locked else []),
    ]


def require_sound(source: Source, *, locked: bool = True) -> None:
    """Raises SourceError with all findings of a source, if there are any."""
    found = findings(source, locked=locked)
    if found:
        raise SourceError(found)


def all_targets(lang: str) -> dict[str, Target]:
    """The labels of all sources of the book in one language."""
    merged: dict[str, Target] = exercise_targets(lang)
    for path in [*chapter_files(), *page_files()]:
        merged |= targets(read(path), lang)
    return merged


def page_files() -> list:
    """The sources that are pages of the site only."""
    return [paths.chapters_dir() / name for name in ("index.md", "notation.md")]


def context(source: Source, lang: str) -> Context:
    """All that a face of `source` refers to."""
    claims = {key: claim["text"] for key, claim in expected_claims(source).items()} if source.number else {}
    return Context(require_language(lang), source.slug, all_targets(lang), claims, short_citations())


def reader_notebook(source: Source, lang: str) -> NotebookNode:
    """The notebook that a reader opens: plain Markdown; code cells hold the expected text outputs, for nbval to compare.

    Raises:
        SourceError: a role, directive or label that cannot be resolved.
    """
    where = context(source, lang)
    stored = expected_outputs(source)
    cells = []
    for cell in source.edition(lang):
        if cell.kind == "markdown":
            text = _faced(reader_face, source, cell, where)
            cells.append(_markdown(cell, "\n\n".join([text, *_drawings(cell, lang)])))
            continue
        tags = [cell.tag] + (["nbval-ignore-output"] if cell.tag == "run" else [])
        code = nbformat.v4.new_code_cell(cell.source, id=cell.id, metadata={"tags": tags})
        code.execution_count = len([c for c in cells if c.cell_type == "code"]) + 1
        code.outputs = [
            nbformat.from_dict(_counted(output, code.execution_count)) for output in stored.get(sha(cell.source), [])
        ]
        cells.append(code)
        if figure := cell.metadata.get("figure"):
            number = where.targets[figure["name"]].number
            caption = (
                f"**{FIGURE_WORD[lang]} {number}** {_faced(reader_face, source, cell, where, figure['caption'][lang])}"
            )
            cells.append(nbformat.v4.new_markdown_cell(caption, id=f"{cell.id}-caption"))
    return _notebook(source, lang, cells)


def site_notebook(source: Source, lang: str, outputs: dict[str, list[dict]]) -> NotebookNode:
    """The MyST notebook from which the site is cut, with the outputs of an execution (cell id → outputs)."""
    where = context(source, lang)
    cells = []
    for cell in source.edition(lang):
        if cell.kind == "markdown":
            cells.append(_markdown(cell, _faced(site_face, source, cell, where)))
            continue
        metadata: dict[str, Any] = {"tags": [cell.tag, *(["hide-input"] if cell.tag == "setup" else [])]}
        if figure := cell.metadata.get("figure"):
            caption = _faced(site_face, source, cell, where, figure["caption"][lang])
            metadata["mystnb"] = {
                "image": {"alt": figure["alt"][lang]},
                "figure": {"name": figure["name"], "caption": caption},
            }
        code = nbformat.v4.new_code_cell(cell.source, id=cell.id, metadata=metadata)
        code.outputs = [nbformat.from_dict(output) for output in outputs.get(cell.id, [])]
        cells.append(code)
    return _notebook(source, lang, cells)


def site_page(source: Source, lang: str) -> str:
    """A page without code (index, notation) as MyST text."""
    where = context(source, lang)
    return "\n\n".join(_faced(site_face, source, cell, where) for cell in source.edition(lang)) + "\n"


def split(*, locked: bool = True) -> list:
    """Checks all sources, then writes `build/notebooks/{zh,en}/NN-name.ipynb`; writes nothing if anything is wrong.

    Raises:
        SourceError: with every finding of every source.
    """
    sources = [read(path) for path in [*chapter_files(), *page_files()]]
    found = [finding for source in sources for finding in findings(source, locked=locked)]
    found += [finding for exercise in exercises() for finding in findings(exercise.statement, locked=False)]
    if found:
        raise SourceError(found)
    books = {(lang, s.slug): reader_notebook(s, lang) for s in sources if s.number is not None for lang in LANGUAGES}
    written = []
    for (lang, slug), notebook in books.items():
        path = paths.build_dir() / "notebooks" / lang / f"{slug}.ipynb"
        write_text(path, nbformat.writes(notebook) + "\n")
        written.append(path)
    numbered = {source.number: source for source in sources if source.number is not None}
    return written + [
        write_exercises(chapter, source, lang)
        for chapter, source in numbered.items()
        if exercises(chapter)
        for lang in LANGUAGES
    ]


def write_exercises(chapter: int, source: Source, lang: str) -> Path:
    """Writes `build/exercises/NN.<lang>.ipynb`, the exercises of a chapter."""
    path = paths.build_dir() / "exercises" / f"{chapter:02d}.{lang}.ipynb"
    notebook = exercise_notebook(chapter, lang, context(source, lang))
    write_text(path, nbformat.writes(notebook) + "\n")
    return path


def references(sources: Iterable[Source]) -> set[str]:
    """The labels that some text of these sources refers to, captions included."""
    texts = [
        text
        for source in sources
        for cell in source.cells
        for text in ([cell.source] if cell.kind == "markdown" else [zh for _, zh, _ in cell.figure_words])
    ]
    return {item.value for text in texts for item in items(text) if item.kind in ("role eq", "role numref", "role ref")}


def _unused_labels(source: Source) -> list[Finding]:
    """Equations and figures that no text of the book refers to: a reader does not learn what they are for."""
    counted = [t for t in targets(source, "zh").values() if t.kind in ("equation", "figure")]
    if not counted:
        return []
    others = [read(path) for path in [*chapter_files(), *page_files()] if path != source.path]
    used = references([source, *others])
    return [
        Finding(
            source.path, 1, f"no text refers to the {target.kind} {target.label!r}: name it, or take its label away"
        )
        for target in counted
        if target.label not in used
    ]


def _pictures_without_words(source: Source) -> list[Finding]:
    """Diagrams without alternative text."""
    return [
        Finding(source.path, cell.line + (token.map or [0])[0], f"the figure {found.argument} has no alternative text")
        for cell in source.cells
        if cell.kind == "markdown"
        for token in parser().parse(cell.source)
        if token.type in FENCES and (found := directive(token)) is not None
        if found.name in ("figure", "image") and not found.options.get("alt", "").strip()
    ]


def _claim_findings(source: Source) -> list[Finding]:
    if source.number is None:
        return []
    known = expected_claims(source)
    used = [
        (item.value, item.line, cell)
        for cell in source.cells
        if cell.kind == "markdown"
        for item in items(cell.source, cell.line)
        if item.kind == "role claim"
    ]
    unknown = [
        Finding(source.path, line, f"the claim {name!r} is in no run; run `make expected`, or mend its id")
        for name, line, _ in used
        if name not in known
    ]
    silent = [
        Finding(source.path, 1, f"the finished point {point} makes no claim")
        for point in outline.finished_points()
        if int(point.split(".")[0]) == source.number and not any(key.startswith(f"{point}/") for key in known)
    ]
    return unknown + silent


def _faced(
    face: Callable[[str, Context], str], source: Source, cell: Cell, where: Context, text: str | None = None
) -> str:
    try:
        return face(cell.source if text is None else text, where)
    except MarkupError as error:
        raise SourceError([Finding(source.path, cell.line, str(error))]) from error


def _markdown(cell: Cell, text: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(text, id=cell.id, metadata={"lang": cell.lang})


def _drawings(cell: Cell, lang: str) -> list[str]:
    """The diagrams as link definitions: the notebook holds them itself, and no viewer has to trust it (attachments need that)."""
    found = [directive(token) for token in parser().parse(cell.source) if token.type in FENCES]
    names = [fence.argument for fence in found if fence is not None and fence.name == "figure"]
    encoded = {name: base64.b64encode(diagram(name, lang).encode()).decode() for name in names}
    return [f"[{name}]: data:image/svg+xml;base64,{data}" for name, data in encoded.items()]


def _counted(output: dict, count: int) -> dict:
    return {**output, "execution_count": count} if output["output_type"] == "execute_result" else output


def _notebook(source: Source, lang: str, cells: list[NotebookNode]) -> NotebookNode:
    metadata = {
        "kernelspec": KERNEL,
        "language_info": {"name": "python"},
        "llmbook": {"chapter": source.number, "slug": source.slug, "lang": lang},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)
