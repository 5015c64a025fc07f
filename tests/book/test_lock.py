"""The lock: approved pairs stay approved wherever they stand; a change on one side, or both, must be reviewed."""

from pathlib import Path

import pytest

from llmbook.book import lock
from llmbook.book.source import read


def test_moving_a_pair_changes_nothing(book: Path):
    text = book.read_text(encoding="utf-8")
    new = '+++ {"lang": "zh"}\n\n新的一段。\n\n+++ {"lang": "en"}\n\nA new paragraph.\n\n'
    at = text.index('+++ {"lang": "zh"}\n\n(section-1-1)=')
    book.write_text(text[:at] + new + text[at:], encoding="utf-8")
    (finding,) = lock.lock_findings(read(book))
    assert "both languages are new or changed" in finding.message
    assert "`llmbook lock 01-small --reviewed 01-0003`" in finding.message


def test_reviewing_one_pair_leaves_the_others_waiting(book: Path):
    text = book.read_text(encoding="utf-8")
    text = text.replace("## First section", "## First section\n\nMore.")
    text = text.replace("over 1,000 draws", "over 1,000 throws")
    book.write_text(text, encoding="utf-8")
    source = read(book)
    assert len(lock.lock_findings(source)) == 2
    assert lock.approve(source, [source.pairs()[1][0].id]) == 1
    (left,) = lock.lock_findings(source)
    assert "en changed alone" in left.message
    assert source.pairs()[2][0].id in left.message


def test_the_lock_forgets_what_no_longer_stands(book: Path):
    text = book.read_text(encoding="utf-8")
    lines = text.replace("## 第一节", "## 第一节\n\n多。").replace("## First section", "## First section\n\nMore.")
    before = set(lock.read_lock(read(book)))
    book.write_text(lines, encoding="utf-8")
    lock.approve(read(book), ["all"])
    after = set(lock.read_lock(read(book)))
    assert len(after) == len(before) == 3
    assert len(after & before) == 2


@pytest.mark.messages
def test_an_unknown_name_is_refused_and_nothing_is_written(book: Path):
    before = lock.lock_path(read(book)).read_bytes()
    with pytest.raises(ValueError, match=r"'9\.9\.9' is neither a prose cell nor a point"):
        lock.approve(read(book), ["1.1.1", "9.9.9"])
    assert lock.lock_path(read(book)).read_bytes() == before
