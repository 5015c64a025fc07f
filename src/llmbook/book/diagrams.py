"""Diagrams: one SVG drawing with a table of labels a language.

`chapters/diagrams/name.svg` holds `{{key}}` wherever words stand; `name.toml` gives `[zh]` and `[en]` their words.

Book: §0
"""

import re

from llmbook import paths
from llmbook.committed import read_toml


def diagram(name: str, lang: str) -> str:
    """The SVG of one language.

    Raises:
        ValueError: no such drawing, or a label that its table lacks or that the drawing does not use.
    """
    folder = paths.chapters_dir() / "diagrams"
    drawing = folder / name
    if not drawing.exists():
        raise ValueError(
            f"no diagram {name!r}; {folder} has {', '.join(sorted(path.name for path in folder.glob('*.svg')))}"
        )
    labels = read_toml(drawing.with_suffix(".toml"), lang)
    text = drawing.read_text(encoding="utf-8")
    wanted = set(re.findall(r"\{\{(\w+)\}\}", text))
    if wanted != set(labels):
        raise ValueError(f"{name} ({lang}): labels {sorted(wanted ^ set(labels))} stand on one side only")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: labels[match[1]], text)


def diagram_names() -> list[str]:
    """The file names of all drawings."""
    return sorted(path.name for path in (paths.chapters_dir() / "diagrams").glob("*.svg"))
