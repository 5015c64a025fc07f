"""A part of a chapter is run with what it needs of the code before it, and no more."""

from pathlib import Path

import pytest

from llmbook.book.source import Cell, read
from llmbook.edition.parts import Names, needed, part_of


def cells(*codes: str) -> list[Cell]:
    return [Cell(Path("x.md"), str(number), "code", code, 1) for number, code in enumerate(codes)]


@pytest.mark.parametrize(
    ("before", "part", "kept"),
    [
        (["x = 1", "y = 2"], "print(y)", [1]),
        (["x = 1", "y = x + 1", "z = 3"], "print(y)", [0, 1]),
        (["def f():\n    return x", "x = 1", "y = 2"], "f()", [0, 1]),
        (["x = 1", "x = 2"], "print(x)", [0, 1]),
        (["model = make()", "fit(model)", "print(len(model))", "claim('a', model)"], "model", [0, 1]),
        (["model = make()", "model.train()", "model.layers[0].x = 3", "other.train()"], "model", [0, 1, 2]),
        (["model = make()", "history = fit(model=model)", "score = [m for m in [3]]"], "model", [0, 1]),
        (["data = [1]", "data[0] += 1", "for line in data:\n    print(line)"], "print(data)", [0, 1]),
        (["line = 1", "total = sum(line for line in [1, 2])"], "print(total)", [1]),
        (["import math", "from x import y as z"], "z.f()", [1]),
        (["x = 1"], "print(1)", []),
        (["x = 1", "y = 2"], "for x in [3]:\n    print(x)\nwith open(y) as x:\n    x.read()", [1]),
        (["x = 1", "y = 2"], "x = [y for _ in [1]]\nif x:\n    z = x\nwhile z:\n    break", [1]),
        (["x = 1", "y = 2", "z = 3"], "def f():\n    return x + y\ny = z\nf()", [0, 2]),
    ],
)
def test_a_cell_is_kept_if_it_makes_or_may_change_what_is_used(before: list[str], part: str, kept: list[int]):
    assert [int(cell.id) for cell in needed(cells(*before), cells(part))] == kept


def test_names_of_a_cell():
    names = Names.of("import torch\nx = torch.ones(3)\ndef f(a):\n    b = a + x\n    return b\nf(y)[0].z = len(w)\n")
    assert names.made == {"torch", "x", "f"}
    assert names.used == {"y", "len", "w"}
    assert "y" in names.changed
    assert "w" not in names.changed


def test_the_set_up_and_the_whole_part_are_kept(book: Path):
    source = read(book)
    part = part_of(source, "1.1.1")
    assert [cell.tag for cell in part.code()] == ["setup", "derive", "run"]
    assert [cell for cell in part.cells if cell.kind == "markdown"] == [
        cell for cell in source.cells if cell.kind == "markdown"
    ][-2:]


def test_a_later_point_brings_what_it_needs_of_the_code_before_it_but_no_prose(book: Path):
    second = """
+++ {"lang": "zh"}

(point-1-1-2)=
### 又一点

+++ {"lang": "en"}

(point-1-1-2)=
### Another point

```{code-cell} ipython3
:tags: [derive]

print(claim)
```
"""
    book.write_text(book.read_text(encoding="utf-8") + second, encoding="utf-8")
    part = part_of(read(book), "1.1.2")
    assert [cell.tag for cell in part.code()] == ["setup", "run", "derive"]
    assert not any("Divide by the root" in cell.source for cell in part.cells)


@pytest.mark.messages
def test_an_unknown_point_is_refused(book: Path):
    with pytest.raises(ValueError, match=r"01-small has no section or point '1\.1\.7'"):
        part_of(read(book), "1.1.7")


CLOSING = '\n+++ {"lang": "zh"}\n\n(closing-1-1)=\n### 收尾\n\n完。\n\n+++ {"lang": "en"}\n\n(closing-1-1)=\n### Closing\n\nDone.\n'


def test_a_closing_belongs_to_its_section_and_to_no_point(book: Path):
    before = part_of(read(book), "1.1.1")
    book.write_text(book.read_text(encoding="utf-8") + CLOSING, encoding="utf-8")
    source = read(book)
    assert [cell.id for cell in part_of(source, "1.1.1").cells] == [cell.id for cell in before.cells]
    assert "(closing-1-1)=" in part_of(source, "1.1").cells[-1].source
