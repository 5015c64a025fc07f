"""The live figure of cost against length, moved with the keyboard; what it shows is held to `llmbook.costs`."""

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from accessibility import violations
from playwright.sync_api import Browser, ElementHandle, Page

from llmbook.costs import crossover, layer_cost
from llmbook.site.build import Site, build_site

PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>\n'
PAGE = "# A page\n\n```{figure} /diagrams/live-cost.svg\n:name: fig-live-cost\n:figclass: live\n:alt: lines\n\nA caption.\n```\n"
FIGURE = "#fig-live-cost"
SITE = Path(__file__).resolve().parents[2] / "site"
START = {"width": 512, "kernel": 3, "length": 256}
MIXERS = ("attention", "recurrence", "convolution")
NAMES = {
    "zh": ("注意力", "循环神经网络（LSTM）", "卷积神经网络"),
    "en": ("attention", "the recurrent network", "the convolutional network"),
}
WAIT = 60_000


@pytest.fixture(scope="module")
def address(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The page with the figure, by language, in the fixture's site."""
    pictures = [images / "live-cost.svg" for images in site.images.values()]
    for picture in pictures:
        picture.write_text(PICTURE, encoding="utf-8")
    folder = tmp_path_factory.mktemp("cost")
    pages = {lang: {**pages, "live": PAGE} for lang, pages in site.pages.items()}
    built = build_site(replace(site, pages=pages, build=folder / "build"))
    yield {lang: (Path(built) / lang / "live.html").as_uri() for lang in pages}
    for picture in pictures:
        picture.unlink()


def opened(page: Page, address: str, state: str = "") -> ElementHandle:
    page.goto("about:blank")
    page.goto(f"{address}{FIGURE}{state}")
    return page.wait_for_selector(f"{FIGURE}[data-live=on]", timeout=WAIT)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def hold(holder: ElementHandle, settings: dict[str, int], lang: str) -> None:
    """The table, the picture and the sentence say what Python computes."""
    n, d, k = settings["length"], settings["width"], settings["kernel"]
    costs = [layer_cost(mixer, seq_len=n, d_model=d, kernel_size=k) for mixer in MIXERS]
    rows = holder.eval_on_selector_all(
        ".live-numbers tbody tr", "all => all.map(row => [...row.cells].slice(2).map(cell => cell.textContent))"
    )
    assert [tuple(map(number, row)) for row in rows] == costs

    # higher in the picture is more, by the scale that its own lines give
    points = holder.eval_on_selector_all(
        ".live-map circle", "all => all.map(dot => ['cx', 'cy'].map(at => Number(dot.getAttribute(at))))"
    )
    paths = holder.eval_on_selector_all(
        ".live-map path[data-family]", "all => all.map(line => line.getAttribute('d').match(/[\\d.]+/g).map(Number))"
    )
    start = layer_cost("recurrence", seq_len=16, d_model=d).multiplications
    decade = (paths[1][-1] - paths[1][1]) / math.log10(2**13)
    for (x, y), cost, path in zip(points, costs, paths, strict=True):
        assert y == pytest.approx(paths[1][1] + decade * math.log10(cost.multiplications / start), abs=0.3)
        place = path.index(x)
        assert y == path[place + 1]
    meets = {name: crossover(d, against=name, kernel_size=k) for name in MIXERS[1:]}
    marks = holder.eval_on_selector_all(
        ".live-map path[data-against]", "all => all.map(mark => [mark.dataset.against, Number(mark.dataset.length)])"
    )
    assert dict(marks) == {name: length for name, length in meets.items() if length}

    sentence = holder.query_selector(".live-reading").text_content()
    first, rest = re.split(r"[。.](?!\d)", sentence, maxsplit=1)
    least = min(cost.multiplications for cost in costs)
    dearer = [cost.multiplications / least for cost in costs if cost.multiplications > least]
    assert re.match(rf"(?:At )?n\s=\s{n:,}\b", first)
    shown = [float(ratio.replace(",", "")) for ratio in re.findall(r"([\d.,]+) (?:倍|times)", first)]
    assert shown == pytest.approx(dearer, rel=0.006)
    for name, cost in zip(NAMES[lang], costs, strict=True):
        ratio = {"zh": f"{name}是它的", "en": f"{name} needs"}[lang]
        assert (ratio in first) == (cost.multiplications > least)
        assert (name in first) == bool(dearer)
    assert f"2d\xa0=\xa0{2 * d:,}" in rest
    assert (f"(k\xa0−\xa02)d\xa0=\xa0{meets['convolution']:,}" in rest) == (k > 2)
    assert ("不论多长" in rest or "at any length" in rest) == (k == 2)
    assert {"zh": f"LSTM 的 {n:,} 步", "en": f"its {n:,} steps"}[lang] in rest


def press(page: Page, key: str, keyboard: str, times: int = 1) -> None:
    page.focus(f"{FIGURE} [data-key={key}]")
    for _ in range(times):
        page.keyboard.press(keyboard)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_each_control_moved_with_the_keyboard_gives_pythons_numbers(
    page: Page, address: dict[str, str], lang: str
) -> None:
    holder, settings = opened(page, address[lang]), dict(START)
    hold(holder, settings, lang)
    for key, keyboard, times, value in (
        ("length", "ArrowRight", 1, 512),  # attention and the convolution cost the same
        ("length", "ArrowRight", 1, 1024),  # attention and the recurrence do
        ("kernel", "ArrowRight", 1, 4),  # all three do
        ("length", "ArrowRight", 1, 2048),  # recurrence and convolution do
        ("kernel", "End", 1, 5),
        ("width", "ArrowDown", 3, 4096),
        ("length", "End", 1, 2**17),
        ("kernel", "Home", 1, 2),
        ("width", "ArrowUp", 6, 64),
        ("length", "Home", 1, 16),
    ):
        press(page, key, keyboard, times)
        settings[key] = value
        hold(holder, settings, lang)
    page.wait_for_function(
        "figure => document.querySelector(figure + ' .live-said').textContent"
        " === document.querySelector(figure + ' .live-reading').textContent",
        arg=FIGURE,
    )
    page.focus(f"{FIGURE} .live-reset")
    page.keyboard.press("Enter")
    hold(holder, START, lang)


def test_the_address_keeps_a_state_and_ignores_what_cannot_be(page: Page, address: dict[str, str]) -> None:
    holder = opened(page, address["en"], "?width=4096&kernel=5&length=17")
    hold(holder, {"width": 4096, "kernel": 5, "length": 2**17}, "en")
    press(page, "length", "ArrowLeft", 2)
    assert page.url.endswith(f"{FIGURE}?width=4096&kernel=5&length=15")
    holder = opened(page, address["zh"], "?width=100&kernel=1&length=18.5")
    hold(holder, START, "zh")


def test_every_length_kernel_and_width_of_the_controls(page: Page, address: dict[str, str]) -> None:
    holder = opened(page, address["en"])
    for width in (64, 1024):
        page.select_option(f"{FIGURE} [data-key=width]", str(width))
        for kernel in (2, 3, 4, 5):
            page.fill(f"{FIGURE} [data-key=kernel]", str(kernel))
            for power in range(4, 18):
                page.fill(f"{FIGURE} [data-key=length]", str(power))
                hold(holder, {"width": width, "kernel": kernel, "length": 2**power}, "en")


def test_where_attention_meets_another_their_points_lie_on_the_mark(page: Page, address: dict[str, str]) -> None:
    holder = opened(page, address["en"], "?length=10")
    at = holder.eval_on_selector_all(
        ".live-map circle", "all => all.map(dot => [dot.getAttribute('cx'), dot.getAttribute('cy')])"
    )
    assert at[0] == at[1] != at[2]
    mark = holder.query_selector(".live-map path[data-against=recurrence]").get_attribute("d")
    assert mark.startswith(f"M{at[0][0]} {float(at[0][1]) - 7:.1f}")


def test_lines_differ_without_colour_and_the_picture_has_no_words_of_one_edition(
    page: Page, address: dict[str, str]
) -> None:
    holder = opened(page, address["zh"])
    dashes = holder.eval_on_selector_all(
        ".live-map path[data-family]", "all => all.map(line => line.getAttribute('stroke-dasharray'))"
    )
    assert len(set(dashes)) == 3
    labels = holder.eval_on_selector_all(
        ".live-map [data-label]", "all => all.map(text => [text.dataset.label, Number(text.getAttribute('y'))])"
    )
    assert {name for name, _ in labels} == set(MIXERS)
    heights = sorted(y for _, y in labels)
    assert all(upper >= lower + 15.9 for lower, upper in pairwise(heights))
    texts = holder.eval_on_selector_all(".live-map text", "all => all.map(text => text.textContent)")
    assert all(ord(letter) < 0x2E80 for text in texts for letter in text)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_and_fits_a_phone(browser: Browser, address: dict[str, str], scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 360, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    for lang, state in (("zh", ""), ("en", "?width=4096&kernel=5&length=17"), ("en", "?width=64&kernel=4&length=4")):
        opened(page, address[lang], state)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        outside = page.evaluate(
            """() => {
              const drawing = document.querySelector(".live-map svg");
              const box = drawing.getBoundingClientRect();
              const all = [...drawing.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()]);
              const beside = at => at.left < box.left - 1 || at.right > box.right + 1;
              const out = ([, at]) => beside(at) || at.top < box.top - 1 || at.bottom > box.bottom + 1;
              // a line of text is taller than its letters
              const meet = ([, a], [, b]) => a.left < b.right && b.left < a.right && a.top + 4 < b.bottom && b.top + 4 < a.bottom;
              return [...all.filter(out), ...all.filter((one, i) => all.some((other, j) => i < j && meet(one, other)))].map(one => one[0]);
            }"""
        )
        assert outside == [], f"outside of the picture or on another text, {lang} {state}"
    found = violations(page, "figure.live")
    context.close()
    assert found == []
