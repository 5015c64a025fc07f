"""Labels and their numbers."""

from pathlib import Path

import pytest

from llmbook.book.numbering import jupyter_anchor, targets
from llmbook.book.source import SourceError, read


def test_sections_points_equations_have_their_numbers(book: Path):
    found = targets(read(book), "en")
    assert {label: target.number for label, target in found.items()} == {
        "chapter-1": "1",
        "section-1-1": "1.1",
        "point-1-1-1": "1.1.1",
        "eq-score": "1.1.1",
    }
    assert found["point-1-1-1"].title == "Divide by the root"
    assert found["eq-score"].anchor == "1.1.1-Divide-by-the-root"
    assert jupyter_anchor("Divide by $d$") == "Divide-by-d"


@pytest.mark.messages
def test_a_label_that_is_used_twice_is_refused(book: Path):
    text = book.read_text(encoding="utf-8").replace("(section-1-1)=", "(chapter-1)=")
    book.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=r"01-small\.md:\d+: the label 'chapter-1' is used twice"):
        targets(read(book), "zh")
