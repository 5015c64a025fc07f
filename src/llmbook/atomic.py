"""Writes a file whole or not at all. All writing of the package goes this way; `tests/test_atomic.py` lists what does not.

Book: §0
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty file to write into, which takes the place of `path` at the end of the block; if the block fails, it is gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        new.touch(exist_ok=False)
        yield new
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def writable(folder: Path) -> Path:
    """The folder, made where it isn't there.

    Raises:
        ValueError: it can't be made, or this user may not write in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ValueError(f"{folder} has to be a folder that this user may write in: {error.strerror}") from error


def write_text(path: Path, text: str) -> bool:
    """Replaces `path` by `text` in one step; leaves it untouched (and returns False) where it already holds just that."""
    content = text.encode()
    if path.exists() and path.read_bytes() == content:
        return False
    with replacing(path) as new:
        new.write_bytes(content)
    return True
