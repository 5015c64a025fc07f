"""What an execution is held to: the bounds of its claims, and the chapter's budget of time and memory.

Book: §0
"""

from statistics import mean
from typing import Any

from llmbook.assets import vendored
from llmbook.book.expected import claims_of, expected_claims, label
from llmbook.book.source import Source
from llmbook.drawing import FONT, SVG
from llmbook.drawing import label_complaints as complaints_of_labels
from llmbook.execution.kept import Execution

SECONDS_ALLOWED = {chapter: 180.0 for chapter in range(1, 6)} | {6: 240.0, 7: 240.0, 8: 240.0}
MEMORY_ALLOWED_MB = 5_000.0


def complaints(source: Source, execution: Execution) -> list[str]:
    """All that an execution is held to and does not keep: claims, labels of figures, budget."""
    return [
        *claim_complaints(source, execution),
        *label_complaints(source, execution),
        *budget_complaints(source, execution),
    ]


def budget_complaints(source: Source, execution: Execution) -> list[str]:
    """What an execution used beyond the chapter's budget."""
    allowed = SECONDS_ALLOWED[source.number or 1]
    complaints = []
    if execution.reference_seconds > allowed:
        complaints.append(
            f"{source.slug} took {execution.total_seconds:.0f} s on a machine {mean(execution.slowness):.2f} times as slow as that of "
            f"reference; its budget there is {allowed:.0f} s"
        )
    if execution.peak_mb > MEMORY_ALLOWED_MB:
        complaints.append(f"{source.slug} used {execution.peak_mb:.0f} MB; its budget is {MEMORY_ALLOWED_MB:.0f} MB")
    return complaints


def claim_complaints(source: Source, execution: Execution) -> list[str]:
    """What a run's claims break: a bound, the tolerance against the stored value; a claim that is stored but not made, or the reverse."""
    stored = expected_claims(source)
    made = {claim["id"]: claim for cell in source.code() for claim in claims_of(execution.outputs.get(cell.id, []))}
    complaints = [claim_complaint(claim, stored.get(name), slack=execution.slack) for name, claim in made.items()]
    return [complaint for complaint in complaints if complaint] + [
        f"claim {name} is stored but no cell makes it" for name in stored if name not in made
    ]


def label_complaints(source: Source, execution: Execution) -> list[str]:
    """What keeps a chapter's figures from speaking Chinese: the code writes English on them, each cell's `labels` give the rest."""
    complaints = []
    for cell in source.code():
        drawn = [output["data"][SVG] for output in execution.outputs.get(cell.id, []) if SVG in output.get("data", {})]
        if drawn or cell.labels("zh"):
            found = complaints_of_labels(drawn, cell.labels("zh"), vendored(FONT))
            complaints += [f"{label(cell)}: {text}" for text in found]
    return complaints


def claim_complaint(claim: dict[str, Any], stored: dict[str, Any] | None, *, slack: float = 1.0) -> str | None:
    """Why a claim does not stand here, or None; the bounds of a timing are `slack` times as wide."""
    value = mean(claim["values"])
    if not claim["holds"] and not (claim["timing"] and _within(claim, value, slack)):
        return f"claim {claim['id']} is {claim['text']}, its bound is {claim['bound']}"
    if stored is None:
        return f"claim {claim['id']} is not stored; run `make expected`"
    allowed = None if claim["equals"] is not None else claim["tolerance"]
    if allowed is not None and abs(value - mean(stored["values"])) > allowed * (slack if claim["timing"] else 1):
        return f"claim {claim['id']} is {claim['text']}; stored is {stored['text']}, tolerance {claim['tolerance']:g}"
    return None


def _within(claim: dict[str, Any], value: float, slack: float) -> bool:
    low, high = claim["at_least"], claim["at_most"]
    return (low is None or value >= low / slack) and (high is None or value <= high * slack)
