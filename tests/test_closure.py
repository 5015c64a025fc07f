"""What some code depends on, and fingerprints that change only with what code does."""

import ast
import gc
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmbook import closure
from llmbook.closure import PACKAGES, fingerprint, fingerprints, import_closure, parsed


def reached(*codes: str) -> set[str]:
    return {path.as_posix() for path in import_closure(codes)}


def test_it_covers_what_the_imported_modules_import() -> None:
    found = reached("from llmbook.notebook import claim", "import math")
    assert "llmbook/notebook/claims.py" in found
    assert "llmbook/receipts.py" in found, "what an imported module imports counts too"
    assert all((PACKAGES / path).is_file() for path in found)


def test_a_name_leads_to_the_module_that_defines_it_and_to_no_other_of_its_package() -> None:
    found = reached("from llmbook.nn import causal_mask as visible")
    assert "llmbook/nn/masks.py" in found
    assert not {"llmbook/nn/norms.py", "llmbook/nn/multi_head.py"} & found
    assert found == reached("import llmbook.nn.masks") == reached("from llmbook.nn import masks")


def test_a_package_taken_whole_brings_all_that_it_exports() -> None:
    found = reached("import llmbook.nn")
    assert {"llmbook/nn/masks.py", "llmbook/nn/norms.py"} <= found
    assert found == reached("from llmbook import nn") == reached("from llmbook.nn import *")


def test_imports_in_functions_count() -> None:
    assert reached("def f():\n    from llmbook.seeding import generator") == reached(
        "from llmbook.seeding import generator"
    )


def test_code_that_imports_nothing_of_the_package_reaches_nothing() -> None:
    assert reached("import torch", "x = 1") == set()


@pytest.mark.parametrize(
    "same",
    [
        'def f(x):\n    """Doubles."""\n    return 2 * x\n',
        "# Doubles.\ndef f(x):\n\n    return (2 * x)  # twice\n",
        "def f(x: int) -> float:\n    return 2 * x",
        '"""A module."""\ndef f(\n    x\n):\n    """Twice as much."""\n    return 2*x',
    ],
)
def test_docstrings_comments_and_layout_do_not_count(same: str) -> None:
    assert fingerprint(same) == fingerprint("def f(x):\n    return 2 * x")


@pytest.mark.parametrize(
    "other", ["def f(x):\n    return 3 * x", "def g(x):\n    return 2 * x", "def f(x, y=1):\n    return 2 * x"]
)
def test_what_code_does_counts(other: str) -> None:
    assert fingerprint(other) != fingerprint("def f(x):\n    return 2 * x")


def test_a_text_that_is_no_docstring_counts() -> None:
    assert fingerprint('x = "a"') != fingerprint('x = "b"')
    assert fingerprint('class A:\n    x: "a"') != fingerprint('class A:\n    x: "b"')


def test_a_new_module_in_a_package_changes_nothing_for_those_who_do_not_use_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "from llmbook.nn import MultiHeadAttention"
    before = fingerprints([code])
    shutil.copytree(PACKAGES / "llmbook", tmp_path / "llmbook", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(closure, "PACKAGES", tmp_path)
    assert fingerprints([code]) == before
    package = tmp_path / "llmbook" / "nn" / "__init__.py"
    (package.parent / "brand_new.py").write_text("def brand_new():\n    return 1\n", encoding="utf-8")
    package.write_text(
        package.read_text(encoding="utf-8") + "\nfrom llmbook.nn.brand_new import brand_new\n", encoding="utf-8"
    )
    closure._tree.cache_clear()
    assert fingerprints([code]) == before
    assert "llmbook/nn/brand_new.py" in fingerprints(["import llmbook.nn"])


class Litter:
    """Garbage that runs Python when it is collected, so that another thread may get its turn in the middle of a parse."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        sum(range(50))


def test_threads_that_parse_at_once_do_not_disturb_each_other() -> None:
    code = Path(ast.__file__).read_text(encoding="utf-8")

    def from_depth(depth: int) -> ast.Module:
        if depth:
            return from_depth(depth - 1)
        for _ in range(20):
            Litter()
        return parsed(code)

    before, often = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(50)
    try:
        with ThreadPoolExecutor(8) as pool:  # 8 of 64 fail with ast.parse
            trees = list(pool.map(from_depth, [5 * (number % 7) for number in range(64)]))
    finally:
        sys.setswitchinterval(before)
        gc.set_threshold(*often)
    assert len({len(tree.body) for tree in trees}) == 1


def test_the_package_parses_in_one_place_only() -> None:
    users = [
        path.name for path in Path(closure.__file__).parent.rglob("*.py") if "ast.parse(" in path.read_text("utf-8")
    ]
    assert users == ["closure.py"]
