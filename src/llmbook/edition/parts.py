"""A part of a chapter that can be run alone: a section or a point, and of the code before it what it needs.

Book: §0
"""

import ast
import builtins
import symtable
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from llmbook.book.source import Cell, Source
from llmbook.closure import parsed

COMPREHENSIONS = ("listcomp", "setcomp", "dictcomp", "genexpr")
ONLY_READ = frozenset({*dir(builtins), "claim", "show"})  # functions that leave their arguments as they are


def part_of(source: Source, name: str) -> Source:
    """One section ("1.2") or point ("1.2.3"), after the chapter's set-up cells and what it needs of the code before it in its section.

    Raises:
        ValueError: the chapter has no such section or point.
    """
    inside = False
    kept: list[Cell] = []
    before: list[Cell] = []
    part: list[Cell] = []
    for cell in source.cells:
        labels = [
            line[1:-2] for line in cell.source.splitlines() if line.startswith(("(section-", "(point-", "(closing-"))
        ]
        if cell.kind == "markdown" and labels:
            numbers = [label.partition("-")[2].replace("-", ".") for label in labels]
            inside = any(number == name or number.startswith(f"{name}.") for number in numbers)
            if not part and any(label.startswith("section-") for label in labels):
                before = []
        if inside:
            part.append(cell)
        elif cell.tag == "setup":
            kept.append(cell)
        elif cell.kind == "code" and not part:
            before.append(cell)
    if not part:
        raise ValueError(f"{source.slug} has no section or point {name!r}")
    return replace(source, cells=[*kept, *needed(before, part), *part])


def needed(before: list[Cell], part: list[Cell]) -> list[Cell]:
    """The cells before a part that define what its code uses, or change it, and those that these need in turn."""
    names = [Names.of(cell.source) for cell in before]
    made_before = {name for one in names for name in one.made}
    wanted = {name for cell in part if cell.kind == "code" for name in Names.of(cell.source).used}
    count = -1
    while count < len(wanted):  # a function may use what is made after it
        count = len(wanted)
        kept = [wanted & (one.made | one.changed & made_before) != set() for one in names]
        wanted = wanted.union(*(one.used for one, keep in zip(names, kept, strict=True) if keep))
    return [cell for cell, keep in zip(before, kept, strict=True) if keep]


@dataclass(frozen=True)
class Names:
    """The names that a cell makes at its top level, those that it uses and has not made before, and those whose objects it may change."""

    made: frozenset[str]
    used: frozenset[str]
    changed: frozenset[str]

    @classmethod
    def of(cls, code: str) -> "Names":
        tree = parsed(code)
        made, used = set[str](), set[str]()
        _follow(tree.body, made, used, _scope(tree.body)[0])
        return cls(frozenset(made), frozenset(used), frozenset(used.intersection(_changed(tree))))


def _follow(statements: Sequence[ast.stmt], made: set[str], used: set[str], everything: set[str]) -> None:
    """Adds what the statements make and use, one after another; `everything` is what the whole cell makes, which its functions may use."""
    for statement in statements:
        match statement:
            case ast.For(target=target, iter=source, body=body, orelse=other):
                _note([ast.Assign(targets=[target], value=source)], made, used, everything)
            case ast.With(items=items, body=body):
                other = []
                for item in items:
                    _note(
                        [
                            ast.Assign(
                                targets=[item.optional_vars or ast.Name("_", ast.Store())], value=item.context_expr
                            )
                        ],
                        made,
                        used,
                        everything,
                    )
            case ast.If(test=test, body=body, orelse=other) | ast.While(test=test, body=body, orelse=other):
                _note([ast.Expr(test)], made, used, everything)
            case _:
                body, other = [], []
                _note([statement], made, used, everything)
        _follow([*body, *other], made, used, everything)


def _note(statements: list[ast.stmt], made: set[str], used: set[str], everything: set[str]) -> None:
    assigned, at_once, later = _scope(statements)
    used |= at_once - made | later - everything
    made |= assigned


def _scope(statements: Sequence[ast.stmt]) -> tuple[set[str], set[str], set[str]]:
    """The names that statements make, those that they use when they run, and those that their functions use when they are called."""
    code = ast.unparse(ast.fix_missing_locations(ast.Module(list(statements), [])))
    top = symtable.symtable(code, "cell", "exec")
    made = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()}
    at_once, later = set[str](), set[str]()
    _uses(top, at_once, later)
    return made, at_once, later


def _uses(scope: symtable.SymbolTable, at_once: set[str], later: set[str]) -> None:
    """Adds the names of the top level that a scope and those inside it use; a comprehension runs at once, a function when it is called."""
    top = scope.get_type() == "module"
    at_once |= {one.get_name() for one in scope.get_symbols() if one.is_referenced() and (top or one.is_global())}
    for inner in scope.get_children():
        _uses(inner, at_once if inner.get_name() in COMPREHENSIONS else later, later)


def _changed(tree: ast.Module) -> Iterator[str]:
    """Names of objects that are called, whose methods are, that stand as arguments of a function, or of which a part is assigned."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            yield from _base(node)
        elif isinstance(node, ast.Call):
            yield from _base(node.func)
            if isinstance(node.func, ast.Name) and node.func.id not in ONLY_READ:
                for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                    yield from _base(argument)


def _base(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
