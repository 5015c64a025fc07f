"""`llmbook run` and `llmbook runs`: experiments that are too long for a notebook.

Book: §0
"""

import math
from typing import TYPE_CHECKING, Annotated

import typer

from llmbook import paths

if TYPE_CHECKING:
    from llmbook.runs.run import Run


def run(
    names: Annotated[list[str] | None, typer.Argument(help="recorded runs, as `llmbook runs` names them")] = None,
    every: Annotated[bool, typer.Option("--all", help="all recorded runs")] = False,
    again: Annotated[bool, typer.Option(help="run seeds that have receipts too, and show old against new")] = False,
    renew: Annotated[bool, typer.Option(help="run nothing: approve stale receipts whose probe passes")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="seeds at a time; by default as many as cores")] = None,
    device: Annotated[str, typer.Option(help="where to train: cpu, cuda, mps; the receipts name it")] = "cpu",
) -> None:
    """Make the missing receipts of recorded runs; killed and started again, it goes on where it was."""
    from llmbook.runs import probe
    from llmbook.runs import run as recorded

    if not names and not every:
        raise ValueError("name a recorded run, or say --all; `llmbook runs` lists them")
    files = recorded.run_files() if every else [paths.chapters_dir() / "runs" / f"{name}.py" for name in names or []]
    wanted = [recorded.load_run(file) for file in files]
    if not renew:
        _make(wanted, again=again, jobs=jobs, device=device)
        return
    for one in wanted:
        if found := probe.probe_findings(one):
            raise ValueError(f"{one.name} is not renewed, its probe differs:\n" + "\n".join(found[:20]))
        recorded.renew_fingerprint(one)
        typer.echo(f"{one.name}: the probe passes, the receipts are renewed")


def _make(wanted: "list[Run]", *, again: bool, jobs: int | None, device: str) -> None:
    from tqdm import tqdm

    from llmbook.runs import probe, running, together
    from llmbook.runs import run as recorded

    running.require_device(device)
    said = "".join([" --again" if again else "", "" if device == "cpu" else f" --device {device}"])
    order = running.Order(command=f"llmbook run NAME{said}", commit=recorded.clean_commit(), device=device)
    for one in wanted:
        if again or not one.probe_file.exists():
            probe.store_probe(one)
    making = [running.anew(one) for one in wanted] if again else wanted
    bars: dict[tuple[str, int], tqdm] = {}

    def on_step(name: str, seed: int, variant: str, made: int, total: int, loss: float) -> None:
        if (name, seed) not in bars:
            bars[name, seed] = tqdm(desc=f"{name}, seed {seed}", unit="update", smoothing=0.05)
        bar = bars[name, seed]
        bar.total = total
        bar.set_postfix_str(variant if math.isnan(loss) else f"{variant}, loss {loss:.3f}", refresh=not made)
        bar.update(made - bar.n)

    try:
        together.run_together(making, order, jobs=jobs, on_step=on_step)
    finally:
        for bar in bars.values():
            bar.close()
    stale = []
    for one, fresh in zip(wanted, making, strict=True):
        lines = running.put_in_place(one, fresh) if again else []
        running.all_receipts(one)
        state = recorded.state(one)
        stale += [one.name] if state == "stale" else []
        typer.echo("\n".join([f"{one.name}: {state}", *lines]))
    if stale:
        names = " ".join(stale)
        raise ValueError(
            f"what {', '.join(stale)} hang on has changed since; if their probes still pass, `llmbook run {names} --renew` approves the "
            f"receipts; else `llmbook run {names} --again` makes them anew"
        )


def runs() -> None:
    """Show the recorded runs: seeds, minutes, and whether what they depend on has changed since."""
    from llmbook.receipts import read_receipts
    from llmbook.runs import run as recorded

    for one in map(recorded.load_run, recorded.run_files()):
        receipts = read_receipts(one.receipts)
        minutes = sum(receipt.seconds for receipt in receipts) / 60
        typer.echo(f"{one.name:16} {len(receipts)} seeds {minutes:6.1f} min  {recorded.state(one)}")
