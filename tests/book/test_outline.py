"""The book's own outline, and the points that are finished."""

from pathlib import Path

from llmbook.book import outline
from llmbook.book.source import read

FINISHED_AT_LEAST = 2


def test_the_outline_is_whole():
    data = outline.load_outline()
    chapters = [chapter for part in data["parts"] for chapter in part["chapters"]]
    assert data["title"]["zh"] == "大型语言模型（LLM）架构与应用"
    assert len(data["parts"]) == 4
    assert [chapter["number"] for chapter in chapters] == list(range(1, 9))
    assert len(outline.point_ids(1)) == 10
    assert outline.chapter_outline(1)["sections"][1]["zh"] == "Transformer的核心组件"


def test_finished_points_are_points_and_their_number_only_rises():
    finished = outline.finished_points()
    assert set(finished) <= set(outline.point_ids())
    assert len(finished) == len(set(finished)) >= FINISHED_AT_LEAST


CLOSING = '\n+++ {"lang": "zh"}\n\n(closing-%s)=\n### 收尾\n\n+++ {"lang": "en"}\n\n(closing-%s)=\n### Closing\n'


def test_a_section_may_end_with_a_part_of_ours_and_only_with_its_own(book: Path):
    text = book.read_text(encoding="utf-8")
    before = {finding.message for finding in outline.heading_findings(read(book))}
    book.write_text(text + CLOSING % ("1-1", "1-1"), encoding="utf-8")
    assert {finding.message for finding in outline.heading_findings(read(book))} == before
    for wrong in ("1-2", "9-9"):
        book.write_text(text + CLOSING % (wrong, wrong), encoding="utf-8")
        assert {finding.message for finding in outline.heading_findings(read(book))} > before
