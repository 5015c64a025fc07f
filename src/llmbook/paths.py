"""Where the book's files lie: chapters, data, recorded runs, caches, what is built.

The root is the checkout that holds `data/MANIFEST.toml`. It is looked for upward from this file, then in the folder that the
environment variable LLMBOOK_ROOT names, then in the user's data folder.

Book: §0
"""

import os
from pathlib import Path

import platformdirs

MARKER = Path("data", "MANIFEST.toml")


def root() -> Path:
    """The folder that holds `data/MANIFEST.toml`.

    Raises:
        ValueError: no such folder was found; the message lists where it was looked for.
    """
    candidates = list(Path(__file__).resolve().parents)
    if named := os.environ.get("LLMBOOK_ROOT"):
        candidates.append(Path(named).resolve())
    candidates.append(platformdirs.user_data_path("llmbook"))
    return first_with_marker(candidates)


def first_with_marker(candidates: list[Path]) -> Path:
    """The first of these folders that holds the marker file.

    Raises:
        ValueError: none of them does.
    """
    for folder in candidates:
        if (folder / MARKER).is_file():
            return folder
    raise ValueError(
        f"no folder with {MARKER.as_posix()} was found, looked in {', '.join(map(str, candidates))}; "
        "set LLMBOOK_ROOT to a checkout of the book"
    )


def chapters_dir() -> Path:
    """The chapters' sources."""
    return root() / "chapters"


def data_dir() -> Path:
    """Vendored data, described by `MANIFEST.toml`."""
    return root() / "data"


def runs_dir() -> Path:
    """Receipts of recorded runs, one JSON line a seed."""
    return data_dir() / "runs"


def build_dir() -> Path:
    """What is generated: notebooks, executed notebooks, the site."""
    return root() / "build"


def cache_dir() -> Path:
    """What can be made again at a cost: prepared data sets, fetched packages."""
    return build_dir() / "cache"
