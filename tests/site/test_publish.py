"""The part of a chapter that `make section` runs."""

from pathlib import Path

import pytest

from llmbook.book.source import read
from llmbook.site.publish import part_of


def test_a_point_comes_with_the_set_up_cells(book: Path):
    part = part_of(read(book), "1.1.1")
    assert [cell.tag for cell in part.code()] == ["setup", "derive", "run"]
    assert not any("小书" in cell.source for cell in part.cells)


def test_a_later_point_brings_the_code_before_it_but_not_its_prose(book: Path):
    second = """
+++ {"lang": "zh"}

(point-1-1-2)=
### 又一点

+++ {"lang": "en"}

(point-1-1-2)=
### Another point

```{code-cell} ipython3
:tags: [derive]

print("second")
```
"""
    book.write_text(book.read_text(encoding="utf-8") + second, encoding="utf-8")
    part = part_of(read(book), "1.1.2")
    assert [cell.tag for cell in part.code()] == ["setup", "derive", "run", "derive"]
    assert not any("Divide by the root" in cell.source for cell in part.cells)


@pytest.mark.messages
def test_an_unknown_point_is_refused(book: Path):
    with pytest.raises(ValueError, match=r"01-small has no section or point '1\.1\.7'"):
        part_of(read(book), "1.1.7")
