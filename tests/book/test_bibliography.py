"""Short forms of the bibliography."""

from pathlib import Path

from llmbook.book.bibliography import short_citations


def test_one_two_and_many_authors_and_an_organisation(book: Path):
    (book.parent / "references.bib").write_text(
        "@article{one, author={Ba, Jimmy}, title={T}, year={2016}, doi={10.1/x}}\n"
        "@article{two, author={Press, Ofir and Wolf, Lior}, title={T}, year={2017}}\n"
        "@article{many, author={A, B and C, D and van der E, F}, title={T}, year={2018}, url={https://e.org}}\n"
        "@misc{body, author={{The contributors}}, title={T}, year={2026}}\n",
        encoding="utf-8",
    )
    short_citations.cache_clear()
    assert short_citations() == {
        "one": ("Ba, 2016", "https://doi.org/10.1/x"),
        "two": ("Press & Wolf, 2017", ""),
        "many": ("A et al., 2018", "https://e.org"),
        "body": ("The contributors, 2026", ""),
    }
