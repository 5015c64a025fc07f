"""Which files of the package some code depends on, so that a change of one of them is noticed.

Book: §0
"""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import grimp

PACKAGES = Path(__file__).parents[2]


def import_closure(codes: Iterable[str]) -> set[Path]:
    """The package's files that pieces of code import, directly or through others, relative to the folder `src`."""
    graph = import_graph()
    reached = set()
    for name in {name for code in codes for name in imported(code)} & set(graph.modules):
        reached |= {name} | graph.find_upstream_modules(name)
    modules = [Path(*name.split(".")) for name in reached]
    return {
        path.with_suffix(".py") if (PACKAGES / path).with_suffix(".py").exists() else path / "__init__.py"
        for path in modules
    }


@cache
def import_graph() -> grimp.ImportGraph:
    return grimp.build_graph("llmbook")


def imported(code: str) -> set[str]:
    """The names of modules, or of what is in them, that the code imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found
