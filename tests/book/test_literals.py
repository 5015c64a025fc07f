"""Literal experimental numbers: what is one, and what is not."""

from pathlib import Path

import pytest

from llmbook.book.literals import LITERAL


@pytest.mark.parametrize(
    "text", ["3.1 times", "3 times", "快 3 倍", "94 %", "94%", "0.5", "took 12 s", "用了 12 秒", "3× faster", "5 GB"]
)
def test_a_number_of_an_experiment_is_found(text: str):
    assert LITERAL.search(text)


@pytest.mark.parametrize(
    "text",
    ["in 2017", "point 1.2.1", "3 × 4 cells", "3×4", "4 heads", "the 3 steps", "12 layers", "§ 10.20.30", "12 个头"],
)
def test_a_number_of_another_kind_is_left_alone(text: str):
    assert not LITERAL.search(text)


def test_a_cited_sentence_is_left_alone_and_its_neighbour_is_not(book: Path):
    from llmbook.book.literals import literal_numbers
    from llmbook.book.source import read

    text = book.read_text(encoding="utf-8")
    cited = "It took 3.5 days {cite:p}`vaswani2017attention`."
    book.write_text(text.replace("The measured", f"{cited} The measured"), encoding="utf-8")
    assert literal_numbers(read(book)) == []
    book.write_text(text.replace("The measured", f"{cited} Ours took 3.5. The measured"), encoding="utf-8")
    (finding,) = literal_numbers(read(book))
    assert "'3.5'" in finding.message


def test_a_number_in_a_cell_of_a_table_of_claims_is_found_and_what_is_given_is_not(book: Path):
    from llmbook.book.literals import literal_numbers
    from llmbook.book.source import read

    text = book.read_text(encoding="utf-8")
    table = "```{claims}\nModel | CELL\nLSTM | 1.1.1/ratio\n```\n\nThe measured"
    for cell, found in (("0.5 GB", 1), ("{given}`0.5 GB`", 0), ("bits", 0)):
        book.write_text(text.replace("The measured", table.replace("CELL", cell)), encoding="utf-8")
        assert len(literal_numbers(read(book))) == found, cell
