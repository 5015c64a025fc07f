"""The live translator writes what the book's translator writes."""

from collections.abc import Callable

import pytest
from live_figures import Figure

from llmbook.generation import load_translator
from llmbook.generation.translator import LONGEST


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_it_writes_what_python_writes(live: Callable[[str], Figure], lang: str) -> None:
    figure, translator = live("translate").open(lang), load_translator()
    reads = "([at, text]) => document.querySelector(`${at} .live-reading`).textContent.includes(text)"
    text, page = figure.control("text"), figure.page
    for sentence in ["单击「确定」按钮关闭对话框。", "选择要插入的图片文件。", '如果 "x" 等于 1，则条件为 True。']:
        page.fill(text, sentence)
        (expected,) = translator.translate([sentence])
        page.wait_for_function(
            "([at, text]) => document.querySelector(`${at} .live-reading q`)?.textContent === text",
            arg=[figure.at, expected],
        )
    page.fill(text, "hello")
    page.wait_for_function(reads, arg=[figure.at, {"zh": "汉字", "en": "Chinese characters"}[lang]])
    page.fill(text, "好的" * LONGEST)
    page.wait_for_function(reads, arg=[figure.at, str(LONGEST)])
    assert page.query_selector(f"{figure.at} .live-map svg") is None
    assert page.is_hidden(f"{figure.at} .live-map")
