"""`llmbook serve`, `work`, `translate` and `complete`: what readers of the book use.

Book: §0
"""

from typing import Annotated

import typer

from llmbook import paths


def serve(port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free")] = 8000) -> None:
    """Serve both sites on this machine, for this machine alone, until Ctrl-C."""
    import http.server
    from functools import partial

    folder = paths.build_dir() / "html"
    if not (folder / "index.html").is_file():
        raise ValueError(f"there is no site in {folder} yet; run `make book` first")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"port {port}") from error
    with server:
        typer.echo(f"http://localhost:{server.server_port}  (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("")


def work() -> None:
    """Copy the executed notebooks to work/, where a reader's edits are never overwritten."""
    import hashlib
    import json
    import shutil

    import nbformat
    from nbformat.sign import NotebookNotary

    from llmbook.atomic import replacing, write_text
    from llmbook.committed import read_json

    build, record = paths.build_dir(), paths.root() / "work" / ".copied.json"
    taken = read_json(record) if record.exists() else {}  # of which notebook of the book each copy was made
    for path in sorted([*(build / "executed").glob("*/*.ipynb"), *(build / "exercises").glob("*.ipynb")]):
        copy = paths.root() / "work" / path.parent.name / path.name
        name, sha256 = copy.relative_to(paths.root()).as_posix(), hashlib.sha256(path.read_bytes()).hexdigest()
        if copy.exists():
            older = taken.get(name, sha256) != sha256
            age = "; the book's is newer: move yours away and say it again to get that" if older else ""
            typer.echo(f"kept your own {name}{age}")
            continue
        with replacing(copy) as new:
            shutil.copyfile(path, new)
        try:
            NotebookNotary().sign(nbformat.read(copy, as_version=4))
        except OSError as error:
            unsigned = f"not signed ({error}), so JupyterLab hides its figures until you choose File > Trust Notebook"
            typer.secho(f"{name}: {unsigned}", fg=typer.colors.YELLOW, err=True)
        write_text(record, json.dumps(taken := {**taken, name: sha256}, indent=1) + "\n")
        typer.echo(f"copied to {name}")


def translate(
    texts: Annotated[list[str] | None, typer.Argument(help="Chinese texts; none: each line of standard input")] = None,
    beams: Annotated[int, typer.Option(min=1, help="1 is greedy decoding")] = 4,
) -> None:
    """Translate Chinese into English with the book's translator, one line a text; an empty line for one that it cannot take."""
    import sys

    from llmbook.generation import load_translator

    given = texts if texts else [line.rstrip("\n") for line in sys.stdin]
    translator = load_translator()
    refusals: dict[int, str] = {}
    for number, text in enumerate(given):
        try:
            translator.pieces(text)
        except ValueError as error:
            refusals[number] = str(error)
    taken = [text for number, text in enumerate(given) if number not in refusals]
    written = iter(translator.translate(taken, num_beams=beams))
    for number, message in enumerate(map(refusals.get, range(len(given)))):
        typer.echo("" if message else next(written))
        if message:
            typer.secho(f"llmbook: text {number + 1}: {message}", fg=typer.colors.RED, err=True)
    raise SystemExit(bool(refusals))


def complete(
    prompt: Annotated[str, typer.Argument(help="the text to go on from, in English")],
    max_new_tokens: Annotated[int, typer.Option(min=1, help="stop after so many, if the text doesn't end before")] = 64,
    temperature: Annotated[float, typer.Option(min=0, help="0 always takes the likeliest token")] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="of the draws, at a temperature above 0")] = 0,
) -> None:
    """Go on from a text with SmolLM2-135M-Instruct, which is fetched the first time (93 MB); what is written appears piece by piece."""
    from llmbook import seeding
    from llmbook.compression import smollm2

    if not prompt:
        raise ValueError("the prompt is empty; expected a text to go on from")
    pretrained = smollm2(on_progress=lambda message: typer.echo(f"llmbook: {message}", err=True))
    draws = seeding.generator(seed)
    pieces = pretrained.write(prompt, max_new_tokens=max_new_tokens, temperature=temperature, generator=draws)
    typer.echo(prompt, nl=False)
    for piece in pieces:
        typer.echo(piece, nl=False)
    typer.echo("")
