"""Shows the package's own source in a notebook, so that page and package cannot part.

Book: §1.2.1
"""

import inspect
import textwrap
from pathlib import Path

from IPython.display import display

import llmbook
from llmbook.notebook.recorded import Recorded


def show(obj: object) -> None:
    """Displays the source of a function, method, class or module of the package, or of a recorded run.

    Raises:
        ValueError: `obj` is not defined in the package.
    """
    if isinstance(obj, Recorded):
        display_source(Path("chapters", "runs", obj.source.name), obj.source.read_text(encoding="utf-8"), obj.name)
        return
    name = getattr(obj, "__qualname__", getattr(obj, "__name__", None))
    module = inspect.getmodule(obj)
    if name is None or module is None or module.__name__.split(".")[0] != llmbook.__name__:
        raise ValueError(f"show takes a function, class or module of llmbook; got {obj!r}")
    path = Path(inspect.getfile(module)).relative_to(Path(inspect.getfile(llmbook)).parent.parent)
    display_source(path, textwrap.dedent(inspect.getsource(obj)), name)  # type: ignore[arg-type]


def display_source(path: Path, source: str, name: str) -> None:
    text = f"`{path.as_posix()}`\n\n```python\n{source.rstrip()}\n```"
    display({"text/markdown": text, "text/plain": f"{path.as_posix()}: {name}"}, raw=True)
