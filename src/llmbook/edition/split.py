"""From one bilingual source to one notebook a language, in two faces; refuses a source whose languages have drifted apart.

Cell ids come from chapter and index, so the same source gives the same bytes.

Book: §0
"""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from llmbook import paths
from llmbook.assets import vendored
from llmbook.atomic import write_text
from llmbook.book.diagrams import diagram
from llmbook.book.expected import claims_of, expected_outputs
from llmbook.book.lock import sha
from llmbook.book.markup import FENCES, directive, parsed
from llmbook.book.numbering import FIGURE_WORD
from llmbook.book.source import LANGUAGES, Cell, Finding, Source, SourceError
from llmbook.drawing import FONT, SVG, with_chinese, with_font, with_words
from llmbook.edition.assignment import exercise_notebook
from llmbook.edition.book import Book
from llmbook.edition.faces import Context, MarkupError, reader_face, site_face

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def reader_notebook(
    book: Book, source: Source, lang: str, outputs: dict[str, list[dict]] | None = None
) -> NotebookNode:
    """The notebook that a reader opens, in plain Markdown.

    Args:
        outputs: those of an execution (cell id → outputs), whose claims the prose then quotes; None: the expected text outputs, for nbval
            to compare, and the stored claims.

    Raises:
        SourceError: a role, directive or label that cannot be resolved.
    """
    where = book.context(source, lang, made=claims_made(outputs or {}))
    stored = expected_outputs(source)
    told = None if outputs is None else told_in(source, outputs, lang)
    cells = []
    for cell in source.edition(lang):
        if cell.kind == "markdown":
            text = _faced(reader_face, source, cell, where)
            cells.append(_markdown(cell, "\n\n".join([text, *_drawings(cell, lang)])))
            continue
        tags = [cell.tag] + (["nbval-ignore-output"] if cell.tag == "run" else [])
        hidden = {"jupyter": {"source_hidden": True}} if cell.folded and cell.tag != "setup" else {}
        code = nbformat.v4.new_code_cell(cell.source, id=cell.id, metadata={"tags": tags, **hidden})
        code.execution_count = len([c for c in cells if c.cell_type == "code"]) + 1
        shown = stored.get(sha(cell.source), []) if told is None else told[cell.id]
        code.outputs = [nbformat.from_dict(_counted(output, code.execution_count)) for output in shown]
        cells.append(code)
        if figure := cell.metadata.get("figure"):
            number = where.targets[figure["name"]].number
            caption = (
                f"**{FIGURE_WORD[lang]} {number}** {_faced(reader_face, source, cell, where, figure['caption'][lang])}"
            )
            cells.append(nbformat.v4.new_markdown_cell(caption, id=f"{cell.id}-caption"))
    return _notebook(source, lang, cells)


def site_notebook(book: Book, source: Source, lang: str, outputs: dict[str, list[dict]]) -> NotebookNode:
    """The MyST notebook from which the site is cut, with the outputs of an execution (cell id → outputs)."""
    where = book.context(source, lang, made=claims_made(outputs))
    told = told_in(source, outputs, lang)
    cells = []
    for cell in source.edition(lang):
        if cell.kind == "markdown":
            cells.append(_markdown(cell, _faced(site_face, source, cell, where)))
            continue
        metadata: dict[str, Any] = {"tags": [cell.tag, *(["hide-input"] if cell.folded else [])]}
        if figure := cell.metadata.get("figure"):
            caption = _faced(site_face, source, cell, where, figure["caption"][lang])
            metadata["mystnb"] = {
                "image": {"alt": figure["alt"][lang]},
                "figure": {"name": figure["name"], "caption": caption},
            }
        code = nbformat.v4.new_code_cell(cell.source, id=cell.id, metadata=metadata)
        code.outputs = [nbformat.from_dict(output) for output in told.get(cell.id, [])]
        cells.append(code)
    return _notebook(source, lang, cells)


def claims_made(outputs: dict[str, list[dict]]) -> dict[str, dict]:
    """The claims that an execution's outputs carry, by id."""
    return {claim["id"]: claim for of_cell in outputs.values() for claim in claims_of(of_cell)}


def told_in(source: Source, outputs: dict[str, list[dict]], lang: str) -> dict[str, list[dict]]:
    """The outputs with the texts of each figure in one language, by the labels that its cell gives."""
    labels = {cell.id: cell.labels(lang) for cell in source.code()}
    return {
        cell: [_relabelled(output, labels.get(cell, {})) for output in of_cell] for cell, of_cell in outputs.items()
    }


def _relabelled(output: dict, labels: dict[str, str]) -> dict:
    if not labels or SVG not in output.get("data", {}):
        return output
    svg = with_font(with_words(output["data"][SVG], labels), vendored(FONT))
    return {**output, "data": {**output["data"], SVG: svg}}


def site_page(book: Book, source: Source, lang: str) -> str:
    """A page without code (index, notation) as MyST text."""
    where = book.context(source, lang)
    return "\n\n".join(_faced(site_face, source, cell, where) for cell in source.edition(lang)) + "\n"


def split(book: Book, *, locked: bool = True) -> list[Path]:
    """Checks all sources, then writes `build/notebooks/{zh,en}/NN-name.ipynb`; writes nothing if anything is wrong.

    Raises:
        SourceError: with every finding of every source.
    """
    found = [finding for source in [*book.chapters, *book.pages] for finding in book.findings(source, locked=locked)]
    found += [finding for exercise in book.exercises for finding in book.findings(exercise.statement, locked=False)]
    if found:
        raise SourceError(found)
    notebooks = {(lang, s.slug): reader_notebook(book, s, lang) for s in book.chapters for lang in LANGUAGES}
    written = []
    for (lang, slug), notebook in notebooks.items():
        path = paths.build_dir() / "notebooks" / lang / f"{slug}.ipynb"
        write_text(path, nbformat.writes(notebook) + "\n")
        written.append(path)
    return written + [path for source in book.chapters for path in write_exercises(book, source)]


def write_exercises(book: Book, source: Source) -> list[Path]:
    """Writes `build/exercises/NN.<lang>.ipynb`, the exercises of a chapter, if it has any."""
    listed, written = book.exercises_of(source.number), []
    for lang in LANGUAGES if listed else ():
        path = paths.build_dir() / "exercises" / f"{source.number:02d}.{lang}.ipynb"
        notebook = exercise_notebook(listed, lang, book.context(source, lang))
        write_text(path, nbformat.writes(notebook) + "\n")
        written.append(path)
    return written


def _faced(
    face: Callable[[str, Context], str], source: Source, cell: Cell, where: Context, text: str | None = None
) -> str:
    try:
        return face(cell.source if text is None else text, where)
    except MarkupError as error:
        raise SourceError([Finding(cell.path, cell.line, str(error))]) from error


def _markdown(cell: Cell, text: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(text, id=cell.id, metadata={"lang": cell.lang})


def _drawings(cell: Cell, lang: str) -> list[str]:
    """The diagrams as link definitions: the notebook holds them itself, and no viewer has to trust it (attachments need that)."""
    found = [directive(token) for token in parsed(cell.source) if token.type in FENCES]
    names = [fence.argument for fence in found if fence is not None and fence.name == "figure"]
    encoded = {name: base64.b64encode(_diagram(name, lang).encode()).decode() for name in names}
    return [f"[{name}]: data:image/svg+xml;base64,{data}" for name, data in encoded.items()]


def _diagram(name: str, lang: str) -> str:
    return with_chinese(diagram(name, lang), vendored(FONT))


def _counted(output: dict, count: int) -> dict:
    return {**output, "execution_count": count} if output["output_type"] == "execute_result" else output


def _notebook(source: Source, lang: str, cells: list[NotebookNode]) -> NotebookNode:
    metadata = {
        "kernelspec": KERNEL,
        "language_info": {"name": "python"},
        "llmbook": {"chapter": source.number, "slug": source.slug, "lang": lang},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)
