"""What a chapter is expected to print: `chapters/expected/NN.outputs.json` and `NN.claims.json`.

Outputs are kept by the SHA of the cell's code, so that inserting a cell moves nothing. Only text is kept, and only of the cells that nbval
compares strictly; pictures and the cells tagged `run` are held by their claims.

Book: §0
"""

import json
from pathlib import Path
from typing import Any

from llmbook import paths
from llmbook.atomic import write_text
from llmbook.book.lock import sha
from llmbook.book.source import Cell, Source
from llmbook.committed import read_json
from llmbook.results import CLAIM_TYPE

TEXT_TYPES = ("text/plain", "text/markdown")

STRICT = ("derive", "show", "check", "setup")


def _path(source: Source, kind: str) -> Path:
    return paths.chapters_dir() / "expected" / f"{source.number:02d}.{kind}.json"


def _read(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def expected_outputs(source: Source) -> dict[str, list[dict]]:
    """The stored text outputs, by the SHA of a cell's code."""
    return _read(_path(source, "outputs"))


def expected_claims(source: Source) -> dict[str, dict]:
    """The stored claims, by id."""
    return _read(_path(source, "claims"))


def text_outputs(outputs: list[dict]) -> list[dict]:
    """The comparable part of a cell's outputs: streams joined, text of displayed results, nothing else."""
    kept: list[dict] = []
    for output in outputs:
        if output["output_type"] == "stream":
            if kept and kept[-1]["output_type"] == "stream" and kept[-1]["name"] == output["name"]:
                kept[-1] = {**kept[-1], "text": kept[-1]["text"] + output["text"]}
            else:
                kept.append({"output_type": "stream", "name": output["name"], "text": output["text"]})
        elif "data" in output and CLAIM_TYPE not in output["data"]:
            data = {kind: output["data"][kind] for kind in TEXT_TYPES if kind in output["data"]}
            kept.append({"output_type": output["output_type"], "data": data, "metadata": {}})
    return kept


def claims_of(outputs: list[dict]) -> list[dict]:
    """The claims that a cell's outputs carry."""
    return [output["data"][CLAIM_TYPE] for output in outputs if CLAIM_TYPE in output.get("data", {})]


def store_expected(source: Source, outputs: dict[str, list[dict]]) -> list[str]:
    """Stores the outputs of an execution (cell id → outputs) as the expected ones; returns a line for each thing that changed.

    A timing that was stored stays, as long as what is claimed of it stays: another day's value says nothing new.

    Raises:
        ValueError: a claim does not keep its bound; nothing is stored.
    """
    strict = {sha(cell.source): text_outputs(outputs[cell.id]) for cell in source.code() if cell.tag in STRICT}
    made = {claim["id"]: claim for cell in source.code() for claim in claims_of(outputs[cell.id])}
    if broken := [
        f"claim {name} is {claim['text']}, its bound is {claim['bound']}"
        for name, claim in made.items()
        if not claim["holds"]
    ]:
        advice = f"mend the claim; or, if it is a timing, let nothing else run and say `llmbook execute {source.slug} --force` first"
        raise ValueError("\n".join([*broken, f"nothing is stored: {advice}"]))
    before = expected_claims(source)
    claims = {name: before[name] if same_timing(before.get(name), claim) else claim for name, claim in made.items()}
    changes = _changes(source, expected_outputs(source), strict) + _claim_changes(expected_claims(source), claims)
    for kind, content in (("outputs", {key: value for key, value in strict.items() if value}), ("claims", claims)):
        write_text(_path(source, kind), json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    return changes


def same_timing(stored: dict | None, made: dict) -> bool:
    """Whether a claim is of a time, and claims what the stored one does but for the value."""
    of_value = ("values", "text")
    claimed = {key: value for key, value in made.items() if key not in of_value}
    return made["timing"] and stored is not None and claimed == {k: v for k, v in stored.items() if k not in of_value}


def _changes(source: Source, old: dict[str, list[dict]], new: dict[str, list[dict]]) -> list[str]:
    names = {sha(cell.source): cell.id for cell in source.code()}
    return [f"{names[key]}: printed text changed" for key, value in new.items() if value and old.get(key) != value]


def _claim_changes(old: dict[str, dict], new: dict[str, dict]) -> list[str]:
    changed = [
        f"{key}: {old[key]['text'] if key in old else 'new'} → {claim['text']}"
        for key, claim in new.items()
        if old.get(key, {}).get("text") != claim["text"]
    ]
    return changed + [f"{key}: gone (was {old[key]['text']})" for key in old if key not in new]


def label(cell: Cell) -> str:
    """How a message names a code cell: its id and its first line."""
    return f"{cell.id} ({cell.source.splitlines()[0].strip()})"
