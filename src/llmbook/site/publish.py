"""From executions to what a reader opens: executed notebooks in both languages, and the site.

Book: §0
"""

from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from llmbook import paths
from llmbook.assets import vendored
from llmbook.atomic import write_text
from llmbook.book.diagrams import diagram, diagram_names
from llmbook.book.expected import claims_of, expected_claims
from llmbook.book.glossary import glossary_page
from llmbook.book.outline import finished_points, load_outline
from llmbook.book.source import LANGUAGES, Source
from llmbook.drawing import FONT, with_chinese
from llmbook.edition.assignment import exercise_page
from llmbook.edition.book import Book
from llmbook.edition.split import claims_made, reader_notebook, site_notebook, site_page, write_exercises
from llmbook.execution.holding import claim_complaint
from llmbook.execution.kept import Execution
from llmbook.site.build import Site, build_site
from llmbook.site.live_weights import live_weights

Kept = list[tuple[Source, Execution]]


def publish_notebooks(book: Book, kept: Kept) -> None:
    """Writes `build/executed/{zh,en}/NN-name.ipynb`, the reader's notebooks with the outputs of the one execution, and the exercises."""
    for source, execution in kept:
        write_exercises(book, source)
        for lang in LANGUAGES:
            notebook = reader_notebook(book, source, lang, execution.outputs)
            write_text(paths.build_dir() / "executed" / lang / f"{source.slug}.ipynb", nbformat.writes(notebook) + "\n")


def publish_site(book: Book, kept: Kept) -> Path:
    """Builds the site of both languages from executions; returns its folder."""
    build = paths.build_dir()
    for lang in LANGUAGES:
        for name in diagram_names():
            write_text(build / "diagrams" / lang / name, with_chinese(diagram(name, lang), vendored(FONT)))
    return build_site(
        Site(
            chapters={lang: [_site_chapter(book, *one, lang) for one in kept] for lang in LANGUAGES},
            pages={
                lang: {page.slug: site_page(book, page, lang) for page in book.pages}
                | {"glossary": glossary_page(lang)}
                for lang in LANGUAGES
            },
            outline=load_outline(),
            downloads={
                lang: [build / "executed" / lang / f"{source.slug}.ipynb" for source, _ in kept]
                + [
                    build / "exercises" / f"{source.number:02d}.{lang}.ipynb"
                    for source, _ in kept
                    if book.exercises_of(source.number)
                ]
                for lang in LANGUAGES
            },
            images={lang: build / "diagrams" / lang for lang in LANGUAGES},
            bibliography=paths.chapters_dir() / "references.bib",
            finished=finished_points(),
            settings=paths.root() / "site",
            build=build,
            weights=live_weights(build / "weights"),
        )
    )


def _site_chapter(book: Book, source: Source, execution: Execution, lang: str) -> NotebookNode:
    notebook = site_notebook(book, source, lang, execution.outputs)
    where = book.context(source, lang, made=claims_made(execution.outputs))
    notebook.metadata["llmbook"] |= {
        "seconds": execution.total_seconds,
        "peak_mb": execution.peak_mb,
        "claims": claim_rows(source, execution),
        "exercises": exercise_page(book.exercises_of(source.number), lang, where),
    }
    return notebook


def claim_rows(source: Source, execution: Execution) -> list[dict]:
    """The claims of a chapter for its table: what this execution gave (as the prose says), the bound, and whether it differs here."""
    stored = expected_claims(source)
    rows = []
    for cell in source.code():
        for claim in claims_of(execution.outputs[cell.id]):
            complaint = claim_complaint(claim, stored.get(claim["id"]), slack=execution.slack)
            rows.append(
                {
                    "id": claim["id"],
                    "text": claim["text"],
                    "bound": claim["bound"],
                    "recorded": claim["recorded"],
                    "stale": claim["recorded"] is not None and is_stale(claim["recorded"]["run"]),
                    "n": len(claim["values"]),
                    "holds": claim["holds"],
                    "differs": complaint is not None or not claim["holds"],
                }
            )
    return rows


@cache
def is_stale(run: str) -> bool:
    """Whether something that a recorded run depends on has changed since its receipts were made."""
    from llmbook.runs.run import load_run, state  # brings torch

    return state(load_run(paths.chapters_dir() / "runs" / f"{run}.py")) != "fresh"
