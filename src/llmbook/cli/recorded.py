"""`llmbook run` and `llmbook runs`: experiments that are too long for a notebook.

Book: §0
"""

import math
from typing import Annotated

import typer

from llmbook import paths


def run(
    names: Annotated[list[str] | None, typer.Argument(help="recorded runs, as `llmbook runs` names them")] = None,
    every: Annotated[bool, typer.Option("--all", help="all recorded runs")] = False,
    again: Annotated[bool, typer.Option(help="run seeds that have receipts too, and show old against new")] = False,
    renew: Annotated[bool, typer.Option(help="run nothing: approve stale receipts whose probe passes")] = False,
) -> None:
    """Make the missing receipts of recorded runs; killed and started again, it goes on where it was."""
    from tqdm import tqdm

    from llmbook.runs import probe, running
    from llmbook.runs import run as recorded

    if not names and not every:
        raise ValueError("name a recorded run, or say --all; `llmbook runs` lists them")
    files = recorded.run_files() if every else [paths.chapters_dir() / "runs" / f"{name}.py" for name in names or []]
    for one in recorded.in_order(map(recorded.load_run, files)):
        if renew:
            if found := probe.check_probe(one):
                raise ValueError(f"{one.name} is not renewed, its probe differs:\n" + "\n".join(found[:20]))
            recorded.renew_fingerprint(one)
            typer.echo(f"{one.name}: the probe passes, the receipts are renewed")
            continue
        commit = recorded.clean_commit()
        if again or not one.probe_file.exists():
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
        typer.echo("\n".join([f"{one.name}: {recorded.state(one)}", *lines]))


def runs() -> None:
    """Show the recorded runs: seeds, minutes, and whether what they depend on has changed since."""
    from llmbook.receipts import read_receipts
    from llmbook.runs import run as recorded

    for one in map(recorded.load_run, recorded.run_files()):
        receipts = read_receipts(one.receipts)
        minutes = sum(receipt.seconds for receipt in receipts) / 60
        typer.echo(f"{one.name:16} {len(receipts)} seeds {minutes:6.1f} min  {recorded.state(one)}")
