"""Reads the JSON and TOML files that come with the book; one that is damaged is named.

Book: §0
"""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any


def read_json(path: Path) -> Any:
    """Raises ValueError that names the file if it is no JSON, or no UTF-8."""
    return _read(path, json.loads)


def read_toml(path: Path, key: str | None = None) -> Any:
    """The content, or what stands under `key`; raises ValueError that names the file if it is no TOML, no UTF-8, or lacks the key."""
    content = _read(path, tomllib.loads)
    if key is None:
        return content
    if key not in content:
        raise damaged(path, f"it has no {key!r}")
    return content[key]


def _read(path: Path, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, why: str) -> ValueError:
    """The error for a file that isn't what was committed."""
    return ValueError(f"{path} is damaged ({why}); mend it, or bring it back with `git checkout -- {path}`")
