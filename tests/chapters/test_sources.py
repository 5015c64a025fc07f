"""The book's own sources: sound in both languages, bound to the package and to the outline."""

import ast
import builtins
import re
import symtable
import tomllib
from pathlib import Path

import pytest

from llmbook import paths
from llmbook.book import outline
from llmbook.book.expected import expected_claims
from llmbook.book.markup import items
from llmbook.book.source import Source, chapter_files, read
from llmbook.edition.book import Book

MODULES = sorted((Path(__file__).parents[2] / "src" / "llmbook").rglob("*.py"))
CHAPTERS = chapter_files()
BOOK = Book.read()


def loaded(table: symtable.SymbolTable) -> set[str]:
    """The names that code looks up in the notebook, in functions too."""
    of_module = table.get_type() == "module"
    own = {s.get_name() for s in table.get_symbols() if s.is_referenced() and (of_module or s.is_global())}
    return own.union(*(loaded(child) for child in table.get_children()))


def bound(table: symtable.SymbolTable) -> set[str]:
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned() or symbol.is_imported()}


@pytest.mark.parametrize("source", BOOK.chapters, ids=lambda source: source.slug)
def test_a_section_uses_what_it_or_the_set_up_defines(source: Source):
    """So each can be read, run and edited without the others; a cell that shows code needs the set-up alone."""
    tables = {cell.id: symtable.symtable(cell.source, cell.id, "exec") for cell in source.code()}
    names = {cell.id: loaded(tables[cell.id]) - bound(tables[cell.id]) for cell in source.code()}
    setup = set(dir(builtins)).union(*(bound(tables[cell.id]) for cell in source.code() if cell.tag == "setup"))
    for path in sorted({cell.path for cell in source.cells}):
        known = set(setup)
        for cell in (cell for cell in source.code() if cell.path == path):
            allowed = setup if cell.tag == "show" else known
            assert names[cell.id] <= allowed, (path.name, cell.source, names[cell.id] - allowed)
            known |= bound(tables[cell.id])


INITS = [path for path in MODULES if path.name == "__init__.py"]


@pytest.mark.parametrize("path", INITS, ids=lambda path: path.parent.name)
def test_an_init_holds_imports_and_all_only(path: Path):
    """What some code depends on is found by following names through these files, which then have no say themselves."""
    _, *rest = ast.parse(path.read_text(encoding="utf-8")).body
    for node in rest:
        named = isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]
        assert named or isinstance(node, ast.Import | ast.ImportFrom), ast.unparse(node)


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


@pytest.mark.parametrize("source", [*BOOK.chapters, *BOOK.pages], ids=lambda source: source.slug)
def test_every_source_is_sound_and_locked(source: Source):
    assert [str(finding) for finding in BOOK.findings(source)] == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_claim_that_is_made_or_quoted_is_stored(path: Path):
    source = read(path)
    made = set(re.findall(r'claim\(\s*f?"([^"]+)"', "\n".join(cell.source for cell in source.code())))
    stored = set(expected_claims(source))
    assert {name for name in made if "{" not in name} <= stored
    assert quoted(source) <= stored


def quoted(source: Source) -> set[str]:
    cells = [cell for cell in source.cells if cell.kind == "markdown"]
    return {item.value for cell in cells for item in items(cell.source) if item.kind == "role claim"}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_notebook_defines_nothing_that_the_package_has(path: Path):
    package = {
        node.name
        for module in MODULES
        for node in ast.parse(module.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    for cell in read(path).code():
        defined = {n.name for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        assert not defined & package, cell.id


def test_every_module_says_where_the_book_introduces_it():
    points = {*outline.point_ids(), "0"}
    for path in MODULES:
        if path.name != "__init__.py":
            named = re.search(r"Book: §([\d.]+)$", docstring(path))
            assert named, path
            assert named[1] in points, path


def test_no_module_is_longer_than_it_may_be():
    assert {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES if long(path)} == {}


def long(path: Path) -> bool:
    return len(path.read_text(encoding="utf-8").splitlines()) > 300


def test_every_vendored_file_of_data_is_in_the_manifest():
    listed = {entry for entry in re.findall(r'^path = "(.+)"$', (paths.data_dir() / "MANIFEST.toml").read_text(), re.M)}
    there = {path.relative_to(paths.data_dir()).as_posix() for path in paths.data_dir().rglob("*") if path.is_file()}
    there = {name for name in there if not name.startswith("runs/")}  # receipts
    assert {name for name in there if not name.endswith((".py", ".toml", ".md", ".pyc"))} == listed


def test_the_drawing_of_the_layers_is_that_of_the_contract():
    contract = tomllib.loads((paths.root() / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = [layer for layer in contract["contracts"][0]["layers"] if "(" not in layer or "|" in layer]
    layers = [re.sub(r" ?\(\w+\) ?\|? ?| ?\| ?\(\w+\)", "", layer) for layer in layers]
    text = (paths.root() / "CONTRIBUTING.md").read_text(encoding="utf-8")
    drawn = re.search(r"```text\n(.*?)```", text, re.DOTALL)
    assert drawn is not None
    names = [re.split(r" {3,}", line)[0].strip() for line in drawn[1].splitlines()]
    assert names == layers
