"""Charts and numbers of live figures: scales, marks of axes, names of lines, and how numbers are written."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from live_figures import JS
from playwright.sync_api import Browser, Page

from llmbook.site.extensions.live import needs

TEXTS = "Array.from(chart.drawing.querySelectorAll('text'), text => text.textContent)"


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_content("<!doctype html><html lang='en'><title>plot</title>")
    for part in ("live", *needs(JS / "plot.js"), "plot"):
        page.add_script_tag(path=JS / f"{part}.js")
    yield page
    page.close()


def charted(page: Page, axes: str, script: str, gives: str) -> object:
    return page.evaluate(f"() => {{ const chart = LLMBook.plot.chart({{{axes}}}); {script}; return {gives}; }}")


@pytest.mark.parametrize(
    ("axis", "expected"),
    [
        ("from: 0, to: 1", "0 0.2 0.4 0.6 0.8 1"),
        ("from: -3, to: 5", "−3 −2 −1 0 1 2 3 4 5"),
        ("from: 0, to: 24", "0 5 10 15 20"),
        ("from: 0, to: 12345", "0 2,000 4,000 6,000 8,000 10,000 12,000"),
        ("from: 0.001, to: 1000, log: true", "10−3 10−2 10−1 100 101 102 103"),
        ("from: 1e-40, to: 1e10, log: true", "10−40 10−30 10−20 10−10 100 1010"),
        ("from: 16, to: 1024, log: true, ticks: [16, 128, 1024], text: LLMBook.numbers.grouped", "16 128 1,024"),
    ],
)
def test_an_axis_is_marked_at_nine_round_numbers_at_most(page: Page, axis: str, expected: str) -> None:
    texts = charted(page, f"x: {{{axis}}}, y: {{from: 0, to: 1, ticks: []}}", "", TEXTS)
    assert texts == expected.split()


def test_equal_factors_are_equally_far_on_a_logarithmic_scale_and_equal_steps_on_a_linear_one(page: Page) -> None:
    axes = "x: {from: 1, to: 1024, log: true}, y: {from: -2, to: 2}"
    across = charted(page, axes, "", "[1, 2, 4, 1024].map(chart.x)")
    assert across[2] - across[1] == pytest.approx(across[1] - across[0])
    assert across[3] - across[0] == pytest.approx(10 * (across[1] - across[0]))
    up = charted(page, axes, "", "[-2, 0, 2].map(chart.y)")
    assert up[0] - up[1] == pytest.approx(up[1] - up[2])
    assert charted(page, axes, "", "[chart.frame.floor, chart.frame.top]") == [up[0], up[2]]


def test_nothing_is_drawn_of_what_has_no_place(page: Page) -> None:
    found = charted(
        page, "x: {from: 0, to: 2}, y: {from: 1, to: 100, log: true}",
        """chart.line("a", [[0, 10], [1, 0], [2, 100]], {color: "#000"}); chart.line("b", [[0, 0]], {color: "#000"});
           chart.mark("a", 1, 0, {color: "#000"})""",
        "Array.from(chart.drawing.querySelectorAll('[data-series]'), one => [one.dataset.series, one.getAttribute('d')])",
    )  # fmt: skip
    assert [name for name, _ in found] == ["a"]
    assert found[0][1].count("L") == 1


def test_names_of_lines_that_end_together_are_pushed_apart_in_their_order(page: Page) -> None:
    heights = charted(
        page, "x: {from: 0, to: 1}, y: {from: 0, to: 1}, right: 60",
        "chart.ends([['c', 0.52], ['a', 0.5], ['b', 0.5], ['d', 0.9]].map(end => [...end, {color: '#000'}]))",
        "Array.from(chart.drawing.querySelectorAll('[data-end]'), text => [text.textContent, Number(text.getAttribute('y'))])",
    )  # fmt: skip
    assert [name for name, _ in heights] == ["a", "b", "c", "d"]
    assert all(lower - upper >= 15.9 for (_, lower), (_, upper) in pairwise(heights))


def test_text_on_lines_has_a_halo_and_a_rule_keeps_its_name_inside(page: Page) -> None:
    script = """chart.text(0.5, 0.5, "here", {dx: 3}); chart.rule(0, {text: "left"}); chart.rule(1, {text: "right"});
      const found = Object.fromEntries(Array.from(chart.drawing.querySelectorAll("text"), one => [one.textContent, one]))"""
    gives = """[found.here.getAttribute("paint-order"), found.left.getAttribute("text-anchor"), found.right.getAttribute("text-anchor")]"""
    axes = "x: {from: 0, to: 1, ticks: []}, y: {from: 0, to: 1, ticks: []}"
    assert charted(page, axes, script, gives) == ["stroke", "start", "end"]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("grouped(0)", "0"),
        ("grouped(999)", "999"),
        ("grouped(-1234567)", "−1,234,567"),
        ("fixed(-0.25, 1)", "−0.3"),
        ("fixed(12, 2)", "12.00"),
        ("short(0)", "0"),
        ("short(Infinity)", "∞"),
        ("short(0.0123)", "0.0123"),
        ("short(12.34)", "12.3"),
        ("short(999.9)", "1.00 × 10³"),
        ("short(1.234e-7)", "1.23 × 10⁻⁷"),
        ("bytes(7)", "7.00 B"),
        ("bytes(1610612736)", "1.61 GB"),
        ("bytes(141e6)", "141 MB"),
        ("bytes(2e15)", "2000 TB"),
    ],
)
def test_numbers_are_written_the_same_everywhere(page: Page, call: str, text: str) -> None:
    assert page.evaluate(f"LLMBook.numbers.{call}") == text
