"""From sources to notebooks, site and course. Notebooks may import `check`, `solution` and what `llmbook.notebook` has from here."""

from importlib import import_module
from typing import Any

HOMES = {"check": "llmbook.course.checking", "solution": "llmbook.course.checking"}
HOMES |= dict.fromkeys(("show", "claim", "recorded"), "llmbook.notebook")


def __getattr__(name: str) -> Any:
    """Loads what notebooks import on its first use, so that the command line starts without torch."""
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
