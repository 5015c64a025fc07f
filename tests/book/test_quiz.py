"""Quiz questions: read from the source, in the reader's notebook, and what a broken one is told."""

import pytest

from llmbook.book.markup import directive, parser
from llmbook.book.outline import finished_points, point_ids
from llmbook.book.parity import compare
from llmbook.book.quiz import quiz, quiz_findings, quizzes
from llmbook.book.source import LANGUAGES, chapter_files, read
from llmbook.edition.faces import Context, reader_face

GOOD = """```{quiz} Which is $x$?
:label: quiz-x
:answer: 2

1. one

   Too few.
2. two, on
   two lines

   Yes: $1 + 1$.

   Indeed.
3. three

   Too many.
```"""


def parsed(text: str):
    found = directive(parser().parse(text)[0])
    assert found is not None
    return quiz(found)


def test_a_quiz_is_read_with_all_its_reasons() -> None:
    asked = parsed(GOOD)
    assert asked.question == "Which is $x$?"
    assert asked.answer == 1
    assert asked.options == (
        ("one", "Too few."),
        ("two, on two lines", "Yes: $1 + 1$.\n\nIndeed."),
        ("three", "Too many."),
    )


def test_in_a_notebook_each_option_unfolds_its_reason() -> None:
    text = reader_face(GOOD, Context("en", "01-x", {}, {}, {}))
    assert text.startswith(
        "**Quiz** Which is $x$?\n\nA. one\n\n<details>\n<summary>Choose A</summary>\n\n**Wrong.** Too few."
    )
    assert "<summary>Choose B</summary>\n\n**Right.** Yes: $1 + 1$." in text
    assert text.count("<details>") == text.count("</details>") == 3


@pytest.mark.messages
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (":answer: 2", ":answer: 4", "the answer of quiz-x is '4'; expected a number from 1 to 3"),
        (":answer: 2\n", "", "the answer of quiz-x is ''; expected a number from 1 to 3"),
        (":label: quiz-x", ":label: x", r"needs its question behind \{quiz\}, and below it :label: quiz-name"),
        ("\n\n   Too few.", "", "the option 'one' of quiz-x gives no reason"),
        ("3. three\n\n   Too many.\n", "", "quiz-x has 2 options; expected at least 3"),
    ],
)
def test_a_broken_quiz_is_told_what_it_lacks(old: str, new: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parsed(GOOD.replace(old, new))


def source(tmp_path, zh: str, en: str):
    path = tmp_path / "page.md"
    head = "---\njupytext:\n  text_representation:\n    format_name: myst\n---\n"
    path.write_text(f'{head}\n+++ {{"lang": "zh"}}\n\n{zh}\n\n+++ {{"lang": "en"}}\n\n{en}\n', encoding="utf-8")
    return read(path)


def test_both_languages_have_the_same_answer(tmp_path) -> None:
    assert compare(source(tmp_path, GOOD, GOOD)) == []
    found = [str(one) for one in compare(source(tmp_path, GOOD, GOOD.replace(":answer: 2", ":answer: 3")))]
    assert any("answer '2'" in one for one in found)
    assert any("answer '3'" in one for one in found)


def test_a_source_with_a_broken_quiz_has_a_finding(tmp_path) -> None:
    broken = GOOD.replace(":answer: 2", ":answer: 9")
    assert len(quiz_findings(source(tmp_path, broken, broken))) == 2
    assert quiz_findings(source(tmp_path, GOOD, GOOD)) == []


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("chapter", [read(path) for path in chapter_files()], ids=lambda source: source.slug)
def test_a_chapter_has_five_or_more_and_the_right_answer_moves(chapter, lang: str) -> None:
    found = quizzes(chapter, lang)
    if set(point_ids(chapter.number)) <= set(finished_points()):  # else the chapter goes on
        assert len(found) >= 5
    answers = [one.answer for one in found.values()]
    assert len(set(answers)) >= 3
    assert max(map(answers.count, answers)) <= len(answers) / 2
