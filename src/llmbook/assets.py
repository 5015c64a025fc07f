"""Vendored files, checked against the manifest before they are used.

Book: §1.2.1
"""

import hashlib
from pathlib import Path

from llmbook import paths
from llmbook.committed import read_toml


def vendored(name: str) -> Path:
    """The path of a file under `data/`, once its bytes have been found to be those that `data/MANIFEST.toml` records.

    Raises:
        ValueError: the manifest has no such file, or the file is missing or changed; the message says how to get it back.
    """
    expected = {entry["path"]: entry["sha256"] for entry in manifest()}
    if name not in expected:
        raise ValueError(f"{name!r} is not in data/MANIFEST.toml, which has {', '.join(sorted(expected))}")
    path = paths.data_dir() / name
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    if found != expected[name]:
        again = "" if name.startswith("weights/") else ", or fetch it again with `make vendor`"
        raise ValueError(
            f"{path} is not the file that the book was made with: expected sha256 {expected[name]}, found {found}; "
            f"restore it with `git checkout -- data/{name}`{again}"
        )
    return path


def manifest() -> list[dict]:
    """The entries of `data/MANIFEST.toml`: path, source, licence, sha256, bytes, what."""
    return read_toml(paths.root() / paths.MARKER, "file")
