"""Quiz questions in a real browser: by keyboard, the reason of the chosen option and no other, and said aloud."""

import pytest
from playwright.sync_api import Page

from llmbook import paths
from llmbook.book.quiz import quizzes
from llmbook.book.source import LANGUAGES, find_chapter, read

pytestmark = pytest.mark.built
SECTIONS = ("1-1", "1-2", "1-3", "1-4")


def address(lang: str, page: str) -> str:
    return (paths.build_dir() / "html" / lang / "01-transformer" / f"{page}.html").as_uri()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_option_of_every_quiz_shows_its_own_reason_by_keyboard(page: Page, lang: str) -> None:
    asked = quizzes(read(find_chapter("1")), lang)
    right = {"zh": ("对。", "不对。"), "en": ("Right.", "Wrong.")}[lang]
    found = []
    for section in SECTIONS:
        page.goto(address(lang, f"section-{section}"))
        for quiz in page.locator(".llmbook-quiz").all():
            name = quiz.get_attribute("id") or ""
            found.append(name)
            options = quiz.locator("input[type=radio]")
            assert options.count() == len(asked[name].options)
            assert quiz.locator(".reason:visible").count() == 0
            options.first.focus()
            page.keyboard.press("Space")
            for number in range(options.count()):
                assert options.nth(number).is_checked()
                shown = quiz.locator(".reason:visible")
                assert shown.count() == 1
                assert shown.inner_text().startswith(right[number != asked[name].answer])
                assert quiz.locator("[aria-live]").text_content() == shown.text_content()
                page.keyboard.press("ArrowDown")
    assert sorted(found) == sorted(asked)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_of_exercises_folds_hints_and_solutions(page: Page, lang: str) -> None:
    page.goto(address(lang, "exercises"))
    folded = page.locator("article details")
    assert folded.count() > 16
    assert page.locator("article details[open]").count() == 0
    first = page.locator("article section:has(> h2) >> nth=0")
    first.locator("> details > summary").first.focus()
    page.keyboard.press("Enter")
    assert first.locator("details[open]").count() == 1  # the second hint lies in the first, still folded
    assert first.locator("details[open] details").count() == 1
    notebook = page.locator("article a[download]").get_attribute("href")
    assert notebook is not None
    assert (paths.build_dir() / "html" / lang / "01-transformer" / notebook).resolve().is_file()
