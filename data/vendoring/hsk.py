"""The HSK sentences with pinyin and English."""

import json
import zipfile
from pathlib import Path

from llmbook.data.fetch import downloaded
from vendoring.tables import compressed

SOURCE = {
    "package": "hsk-sentences-audio",
    "version": "1.0.0",
    "registry": "PyPI",
    "file": "hsk_sentences_audio-1.0.0-py3-none-any.whl",
    "sha256": "9bf16cc7b48a24a10af83d377439d3c6f7571a380937f4645a1cd1590d5d0335",
}
TABLE = "hsk/sentences.jsonl.gz"
KEPT = ("id", "hsk_level", "topic", "chinese", "traditional", "pinyin", "pinyin_numbered")


def sentences(wheel: Path) -> list[dict[str, str | int]]:
    """The sentences with the columns that the book uses."""
    with zipfile.ZipFile(wheel) as archive:
        rows = json.loads(archive.read("hsk_sentences_audio/data/sentences.json"))
    return [{**{key: row[key] for key in KEPT}, "english": row["translation"]["en"]} for row in rows]


def made(folder: Path) -> dict[str, bytes]:
    """The table."""
    return {TABLE: compressed(sentences(downloaded(SOURCE, folder)))}


FILES = [(TABLE, SOURCE, "CC-BY-SA-4.0", "4,354 Chinese sentences with pinyin and English; see LICENSE.md beside it")]
