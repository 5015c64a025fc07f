"""Which cells of a submission its answers rest on.

Book: §0
"""

import ast
from collections.abc import Iterable, Sequence

from llmbook.exercises.foreign_text import syntax


def influential(cells: Sequence[tuple[str, str]], functions: Iterable[str]) -> set[str]:
    """The names of the cells that bind one of the functions, or a name that such a cell uses, or so on; and of those that are no Python.

    Leaves out: what a cell does without binding a name, such as to set a default of a library.
    """
    facts = {name: _bound_and_used(code) for name, code in cells}
    found = {name for name, fact in facts.items() if fact is None}
    needed, before = set(functions), -1
    while len(found) != before:
        before = len(found)
        for name, fact in facts.items():
            if fact is not None and fact[0] & needed:
                found.add(name)
                needed |= fact[1]
    return found


def _bound_and_used(code: str) -> tuple[set[str], set[str]] | None:
    """The names that a cell binds and those that it uses, or None where that can't be told."""
    tree = syntax(code)
    if tree is None:
        return None
    bound, used = set[str](), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            if node.name == "*":
                return None
            bound.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            root: ast.expr = node
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            if isinstance(root, ast.Name):
                bound.add(root.id)
    return bound, used
