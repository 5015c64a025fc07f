from docutils import nodes
from docutils.utils import new_document

from llmbook.site.extensions.passages import KeepMarks, exchange


def test_the_mark_after_each_formula_stays_with_it_where_marks_are_equal() -> None:
    document = new_document("text")
    long = "x" * 40  # a long formula may be broken, so its comma stays where it is
    parts = [nodes.math(text=long), nodes.Text("，"), nodes.math(text="a"), nodes.Text("，")]
    document += (paragraph := nodes.paragraph("", "", *parts))
    KeepMarks(document).run()
    assert paragraph.astext() == f"{long}，a，"
    assert [type(child).__name__ for child in paragraph.children] == ["math", "Text", "inline", "Text"]
    assert paragraph.children[2].astext() == "a，"


def test_exchange_goes_by_the_node_and_not_by_what_it_says() -> None:
    first, second = nodes.Text("same"), nodes.Text("same")
    paragraph = nodes.paragraph("", "", first, second)
    exchange(second, [nodes.Text("new")])
    assert paragraph.children == ["same", "new"]
