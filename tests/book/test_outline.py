"""The book's own outline, and the points that are finished."""

from llmbook.book import outline

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
