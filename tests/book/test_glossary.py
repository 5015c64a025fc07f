"""The glossary page, and how terms are found in prose."""

from pathlib import Path

from llmbook.book.glossary import glossary_page, load_terms, term_findings
from llmbook.book.source import read


def test_the_page_defines_each_term_in_its_language(book: Path):
    assert "词元\n  token。最小单位。" in glossary_page("zh")
    assert "token\n  词元. The smallest unit." in glossary_page("en")


def test_code_and_formulas_are_no_prose(book: Path):
    text = (
        book.read_text(encoding="utf-8")
        .replace("共 1,000 次", "`令牌` 共 1,000 次")
        .replace("over 1,000", "`令牌` over 1,000")
    )
    book.write_text(text, encoding="utf-8")
    assert term_findings(read(book)) == []


def test_the_books_own_glossary_can_be_read_and_names_no_form_twice():
    terms = load_terms()
    assert len(terms) > 80
    for lang in ("zh", "en"):
        first = [getattr(term, lang)[0] for term in terms]
        assert len(first) == len(set(first))
    for term in terms:
        assert not set(term.zh) & set(term.avoid_zh)
        assert not set(term.en) & set(term.avoid_en)
