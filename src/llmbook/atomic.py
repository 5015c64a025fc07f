"""Writes a file whole or not at all.

Book: §0
"""

import os
import tempfile
from pathlib import Path


def write_text(path: Path, text: str) -> bool:
    """Replaces `path` by `text` in one step; leaves it untouched (and returns False) where it already holds just that."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True
