"""The lock of a text's translations: which pairs of paragraphs a reader of both languages has approved.

`chapters/lock/name.json`, of a chapter, a page or an exercise's statement, maps sha(zh) to sha(en). A pair that is not in it fails the
build, with the side that changed named; only `llmbook lock … --reviewed …` writes it. A cell may move: its content is the key.

Book: §0
"""

import hashlib
import json
from pathlib import Path

from llmbook import paths
from llmbook.atomic import write_text
from llmbook.book.source import Finding, Source
from llmbook.committed import read_json


def sha(text: str) -> str:
    """The first 16 hexadecimal digits of the text's SHA-256, blank space at line ends ignored."""
    return hashlib.sha256("\n".join(line.rstrip() for line in text.strip().splitlines()).encode()).hexdigest()[:16]


def lock_path(source: Source) -> Path:
    return paths.chapters_dir() / "lock" / f"{source.slug}.json"


def read_lock(source: Source) -> dict[str, str]:
    """The approved pairs, sha(zh) → sha(en); empty where there is no lock yet."""
    path = lock_path(source)
    return read_json(path) if path.exists() else {}


def lock_findings(source: Source) -> list[Finding]:
    """One finding for every pair that nobody has approved as it stands."""
    approved = read_lock(source)
    english = set(approved.values())
    findings = []
    for zh, en in source.pairs():
        ours, theirs = sha(zh.source), sha(en.source)
        if approved.get(ours) == theirs:
            continue
        if ours in approved:
            changed, line = "en changed alone", en.line
        elif theirs in english:
            changed, line = "zh changed alone", zh.line
        else:
            changed, line = "both languages are new or changed", zh.line
        advice = f"read both, then `llmbook lock {source.slug} --reviewed {zh.id}`"
        findings.append(Finding(zh.path, line, f"cells {zh.id} and {en.id}: {changed} since the last review; {advice}"))
    return findings


def approve(source: Source, reviewed: list[str]) -> int:
    """Approves the named pairs (a cell's id, a point's id such as 1.2.1, or "all"), drops what no longer stands, returns how many are new.

    Raises:
        ValueError: a name is neither a prose cell of the source nor a point in it; nothing is written.
    """
    chosen = _chosen(source, reviewed)
    now = {sha(zh.source): sha(en.source) for zh, en in source.pairs()}
    approved = {sha(zh.source): sha(en.source) for zh, en in source.pairs() if zh.id in chosen}
    old = read_lock(source)
    waiting = {
        ours: theirs
        for ours, theirs in old.items()
        if ours not in approved and theirs not in approved.values() and (ours in now or theirs in now.values())
    }
    text = json.dumps({**waiting, **approved}, indent=0, sort_keys=True)
    write_text(lock_path(source), text + "\n")
    return sum(old.get(ours) != theirs for ours, theirs in approved.items())


def _chosen(source: Source, reviewed: list[str]) -> set[str]:
    chosen: set[str] = set()
    for name in reviewed:
        found = {zh.id for zh, en in source.pairs() if name in ("all", zh.id, en.id)} | _of_point(source, name)
        if not found:
            raise ValueError(f"{name!r} is neither a prose cell nor a point of {source.slug}; nothing was locked")
        chosen |= found
    return chosen


def _of_point(source: Source, name: str) -> set[str]:
    label = f"(point-{name.replace('.', '-')})="
    inside, found = False, set()
    for zh, _ in source.pairs():
        heads = [line for line in zh.source.splitlines() if line.startswith(("(point-", "(section-", "(closing-"))]
        inside = label in heads if heads else inside
        if inside:
            found.add(zh.id)
    return found
