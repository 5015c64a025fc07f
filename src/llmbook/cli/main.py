"""`llmbook …`: every step from source to notebook to site, for authors and for the Makefile.

Commands import what they need when they are called, so that `llmbook --help` is there at once.

Book: §0
"""

import errno
import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmbook import paths
from llmbook.cli.assets import assets_app
from llmbook.cli.readers import complete, serve, translate, work
from llmbook.cli.recorded import run, runs
from llmbook.grading.commands import course_app
from llmbook.turn import turn

if TYPE_CHECKING:
    from llmbook.book.source import Source
    from llmbook.edition.book import Book
    from llmbook.execution.kept import Execution

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
REFUSED: dict[int | None, str] = {
    errno.ENOSPC: "make room on this disk and say it again; nothing that was there is lost",
    errno.EDQUOT: "your share of this disk is used up; make room and say it again; nothing that was there is lost",
    errno.EACCES: "this user may not do that; the folder has to be yours",
    errno.EPERM: "this user may not do that; the folder has to be yours",
    errno.EROFS: "this file system can only be read; copy the book to one that can be written",
    errno.ENOTDIR: "a folder is expected there",
    errno.EADDRINUSE: "another program listens there; name another port, as in `make serve PORT=8001`",
}
Strict = Annotated[bool, typer.Option("--strict", help="fail on a claim that does not hold here")]
Names = Annotated[list[str] | None, typer.Argument(help="chapters: numbers or slugs; all when none is named")]


app.add_typer(assets_app, name="assets")
app.add_typer(course_app, name="course")
for command in (complete, run, runs, serve, translate, work):
    app.command()(command)


def in_turn(command: Callable[..., None]) -> Callable[..., None]:
    """The command with `build/` kept to it while it runs."""

    @wraps(command)
    def kept(*args: Any, **kwargs: Any) -> None:
        with turn(paths.build_dir(), f"llmbook {command.__name__.removesuffix('_command')}"):
            command(*args, **kwargs)

    return kept


def main() -> None:
    """Runs the command line; a caller's mistake, and what the system refuses, become one clear message and exit code 1."""
    try:
        app()
    except ValueError as error:
        message = str(error)
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        message = refused(error)
    else:
        return
    typer.secho(f"llmbook: {message}", fg=typer.colors.RED, err=True)
    raise SystemExit(1)


def refused(error: OSError) -> str:
    """A sentence for what the system refused: the file, why, and what to do."""
    where = f"{error.filename}: " if error.filename else ""
    why = os.strerror(error.errno) if error.errno else str(error)
    return f"{where}{why}; {REFUSED.get(error.errno, '')}"


def say_version(asked: bool) -> bool:
    if asked:
        from importlib import metadata

        typer.echo(f"llmbook {metadata.version('llmbook')}")
        raise typer.Exit
    return asked


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=say_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
@in_turn
def split() -> None:
    """Check both languages of every chapter and write the notebooks to build/notebooks."""
    from llmbook.edition.book import Book
    from llmbook.edition.split import split as split_all

    for path in split_all(Book.read()):
        typer.echo(path.relative_to(paths.root()))


@app.command()
def check(chapter: str) -> None:
    """List everything that is wrong with a chapter's source, the lock included."""
    from llmbook.edition.book import Book

    book = Book.read()
    found = book.findings(book.chapter(chapter))
    for finding in found:
        typer.echo(finding)
    typer.echo(f"{len(found)} findings")
    raise SystemExit(bool(found))


@app.command("lock")
def lock_command(
    text: Annotated[str, typer.Argument(help="a chapter, index, notation, or an exercise by its name")],
    reviewed: Annotated[list[str], typer.Option(help="a cell's id, a point's id, or all")],
) -> None:
    """Approve pairs of paragraphs that you have read in both languages."""
    from llmbook.book import lock

    source = _book().text(text)
    typer.echo(f"{lock.approve(source, reviewed)} pairs newly approved in {lock.lock_path(source).name}")


@app.command()
@in_turn
def execute(chapters: Names = None, force: bool = False) -> None:
    """Execute chapters (all, or those named) unless their kept execution is still true."""
    _executed(_sources(_book(), chapters), force=force)


@app.command("expected")
@in_turn
def expected_command(chapters: Names = None) -> None:
    """Renew chapters/expected from an execution and show what changed."""
    from llmbook.book import expected

    sources = _sources(_book(), chapters)
    for source, done in zip(sources, _executed(sources), strict=True):
        for line in expected.store_expected(source, done.outputs) or ["nothing changed"]:
            typer.echo(f"{source.slug}: {line}")


@app.command()
@in_turn
def site() -> None:
    """Build both sites from the kept executions."""
    from llmbook.site import publish

    book = _book()
    kept = _kept(book)
    publish.publish_notebooks(book, kept)
    typer.echo(f"site: {publish.publish_site(book, kept) / 'index.html'}")


@app.command()
@in_turn
def book(strict: Strict = False) -> None:
    """Split, execute what has changed, write notebooks and site; say where they are."""
    from llmbook.edition.split import split as split_all
    from llmbook.execution import holding
    from llmbook.site import publish

    whole = _book()
    split_all(whole)
    kept = list(zip(whole.chapters, _executed(whole.chapters), strict=True))
    complaints = [complaint for source, done in kept for complaint in holding.complaints(source, done)]
    publish.publish_notebooks(whole, kept)
    publish.publish_site(whole, kept)
    for complaint in complaints:
        typer.secho(f"differs here: {complaint}", fg=typer.colors.YELLOW)
    typer.echo(
        f"\nThe book is ready.\n"
        f"  read it:   open {paths.build_dir() / 'html' / 'index.html'} in a browser (no server, no network needed), or `make serve`\n"
        f"  run it:    make lab   (copies of {paths.build_dir() / 'executed'} open in JupyterLab under work/)"
    )
    if strict and complaints:
        raise SystemExit(1)


@app.command()
@in_turn
def section(name: str) -> None:
    """Run one section (1.2) or point (1.2.3) with what it needs of the code before it, print what it prints, keep its notebook."""
    import nbformat

    from llmbook.atomic import write_text
    from llmbook.book.expected import claims_of, text_outputs
    from llmbook.book.source import LANGUAGES
    from llmbook.edition.parts import part_of
    from llmbook.edition.split import reader_notebook
    from llmbook.execution.executing import run_chapter

    whole = _book()
    source = whole.chapter(name)
    whole.require_sound(source, locked=False)
    part = part_of(source, name)
    done = run_chapter(part, on_cell=typer.echo)
    for cell in part.code():
        for output in text_outputs(done.outputs[cell.id]) + claims_of(done.outputs[cell.id]):
            typer.echo(output.get("text") or output["data"].get("text/plain"))
    for lang in LANGUAGES:
        path = paths.build_dir() / "section" / f"{name}.{lang}.ipynb"
        write_text(path, nbformat.writes(reader_notebook(whole, part, lang, done.outputs)) + "\n")
        typer.echo(path)
    typer.echo(f"{done.total_seconds:.1f} s, {done.peak_mb:.0f} MB at the peak")


@app.command()
def watch(name: str) -> None:
    """Build the page of a section (1.2) or point (1.2.3) again when the chapter is saved, running code that changed, until Ctrl-C."""
    from llmbook.site.watch import saved, watch

    try:
        watch(name, typer.echo, saved(name))
    except KeyboardInterrupt:
        typer.echo("")


def _book() -> "Book":
    from llmbook.edition.book import Book

    return Book.read()


def _sources(book: "Book", names: list[str] | None) -> "list[Source]":
    return [book.chapter(name) for name in names] if names else book.chapters


def _executed(sources: "list[Source]", *, force: bool = False) -> "list[Execution]":
    """The executions of chapters: those that are kept and still true, the others made now, as many at a time as there are cores."""
    from concurrent.futures import ThreadPoolExecutor
    from itertools import repeat

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_execution, sources, range(len(sources)), repeat(force)))


def _execution(source: "Source", place: int, force: bool) -> "Execution":
    """The execution of a chapter, in a thread of its own; its progress bar stands in line `place`."""
    from contextlib import closing

    from jupyter_core.utils import ensure_event_loop
    from tqdm import tqdm

    from llmbook.execution.executing import run_chapter, stored_execution
    from llmbook.execution.kept import store

    with closing(ensure_event_loop()):  # which nobody else closes when the thread ends
        kept = None if force else stored_execution(source)
        if kept is not None:
            typer.echo(
                f"{source.slug}: unchanged, its execution is kept ({kept.total_seconds:.0f} s, {kept.peak_mb:.0f} MB)"
            )
            return kept
        with tqdm(total=len(source.code()), desc=source.slug, unit="cell", position=place) as bar:

            def on_cell(name: str) -> None:
                bar.set_postfix_str(name[:50])
                bar.update()

            done = run_chapter(source, on_cell=on_cell)
    store(done)
    typer.echo(f"{source.slug}: executed in {done.total_seconds:.0f} s, {done.peak_mb:.0f} MB at the peak")
    return done


def _kept(book: "Book") -> "list[tuple[Source, Execution]]":
    from llmbook.execution.executing import stored_execution

    kept = []
    for source in book.chapters:
        done = stored_execution(source)
        if done is None:
            raise ValueError(
                f"{source.slug} has no execution that is still true; run `make book` or `llmbook execute {source.slug}` first"
            )
        kept.append((source, done))
    return kept
