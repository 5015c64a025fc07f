"""Which modules of the package some code depends on, and a fingerprint of code that changes only when what it does may change.

Book: §0
"""

import ast
import hashlib
import threading
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

PACKAGES = Path(__file__).parents[1]
WHOLE = "*"
UNSEEN = {
    ast.arg: ("annotation",),
    ast.FunctionDef: ("returns",),
    ast.AsyncFunctionDef: ("returns",),
}  # only tests look at them


_PARSING = threading.Lock()


def parsed(code: str) -> ast.Module:
    """The syntax tree of some code. One thread at a time: CPython 3.11 counts the depth of all trees that are being made together."""
    with _PARSING:
        return ast.parse(code)


def import_closure(codes: Iterable[str]) -> set[Path]:
    """The package's modules in which what the codes import is defined, directly or through others, relative to the folder `src`.

    A name that a package only passes on ("from llmbook.nn import causal_mask") leads to the module that defines it, so a new name in that
    package changes nothing for those who use the others. `__init__` files are not counted: they hold imports and `__all__` only.
    """
    waiting = {module for code in codes for module in _modules(parsed(code))}
    reached: set[str] = set()
    while waiting:
        module = waiting.pop()
        reached.add(module)
        waiting |= _imports(_file(module)) - reached
    return {_file(module).relative_to(PACKAGES) for module in reached}


def fingerprint(code: str) -> str:
    """A hash of the syntax tree, the same for newer Pythons; comments, docstrings, layout and the types of arguments don't count."""
    return hashlib.sha256(repr(_shape(parsed(code))).encode()).hexdigest()


def fingerprints(codes: Iterable[str]) -> dict[str, str]:
    """The fingerprint of every module that the codes depend on, by its path relative to the folder `src`."""
    return {path.as_posix(): _module_fingerprint(PACKAGES / path) for path in sorted(import_closure(codes))}


@cache
def _module_fingerprint(path: Path) -> str:
    return fingerprint(path.read_text(encoding="utf-8"))


@cache
def _tree(path: Path) -> ast.Module:
    return parsed(path.read_text(encoding="utf-8"))


@cache
def _imports(path: Path) -> frozenset[str]:
    return frozenset(_modules(_tree(path)))


def _modules(tree: ast.Module) -> Iterator[str]:
    """The modules that define what is imported anywhere in the code, functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _home(alias.name, WHOLE)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield from _home(node.module, alias.name)


def _home(module: str, name: str) -> Iterator[str]:
    """The modules of the package that define `name` of `module`; of a package taken whole, all that its `__init__` imports."""
    if module.split(".", maxsplit=1)[0] != "llmbook" or not _file(module).exists():
        return
    if _file(module).name != "__init__.py":
        yield module
    elif name != WHOLE and _file(f"{module}.{name}").exists():
        yield from _home(f"{module}.{name}", WHOLE)
    else:
        for node in _tree(_file(module)).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    if name in (WHOLE, alias.asname or alias.name):
                        yield from _home(node.module, alias.name)


def _file(module: str) -> Path:
    path = PACKAGES.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _shape(node: Any) -> Any:
    """A tree as nested tuples, less docstrings and empty fields (of which each Python has others)."""
    if isinstance(node, list):
        return [_shape(part) for part in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if name not in UNSEEN.get(type(node), ())}
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and _has_docstring(node):
        fields["body"] = node.body[1:]
    return (type(node).__name__, *((name, _shape(value)) for name, value in fields.items() if value not in (None, [])))


def _has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None
