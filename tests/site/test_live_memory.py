"""The live figure of memory by term, moved with the keyboard; what it shows is held to `llmbook.costs`."""

import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from playwright.sync_api import ElementHandle, Page

from llmbook.costs import activation_memory, num_parameters, parameter_memory
from llmbook.site.build import Site, build_site

PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>\n'
PAGE = "# A page\n\n```{figure} /diagrams/live-memory.svg\n:name: fig-live-memory\n:figclass: live\n:alt: bars\n\nA caption.\n```\n"
FIGURE = "#fig-live-memory"
START = {"batch": 8, "length": 1024, "width": 512, "heads": 8, "layers": 6, "vocabulary": 32_000, "bytes": 4}
UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
WAIT = 60_000


@pytest.fixture(scope="module")
def address(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The page with the figure, by language, in the fixture's site."""
    pictures = [images / "live-memory.svg" for images in site.images.values()]
    for picture in pictures:
        picture.write_text(PICTURE, encoding="utf-8")
    folder = tmp_path_factory.mktemp("memory")
    weights = folder / "pinyin.js"
    weights.write_text("// weights of other figures\n", encoding="utf-8")
    pages = {lang: {**pages, "live": PAGE} for lang, pages in site.pages.items()}
    built = build_site(replace(site, pages=pages, build=folder / "build", weights=[weights]))
    yield {lang: (Path(built) / lang / "live.html").as_uri() for lang in pages}
    for picture in pictures:
        picture.unlink()


def opened(page: Page, address: str, state: str = "") -> ElementHandle:
    page.goto(f"{address}{FIGURE}{state}")
    return page.wait_for_selector(f"{FIGURE}[data-live=on]", timeout=WAIT)


def computed(settings: dict[str, int]) -> dict[str, int]:
    """The bytes of each term, by Python."""
    model = {"d_model": settings["width"], "num_layers": settings["layers"], "vocab_size": settings["vocabulary"]}
    kept = parameter_memory(num_parameters(**model), bytes_per_value=settings["bytes"])
    activations = asdict(
        activation_memory(
            **model,
            batch_size=settings["batch"],
            seq_len=settings["length"],
            num_heads=settings["heads"],
            bytes_per_value=settings["bytes"],
        )
    )
    assert activations.pop("states") == 0
    return asdict(kept) | activations


def read(text: str) -> tuple[float, float]:
    """Bytes that a number with a unit says, and half a unit of its last digit."""
    number, unit = text.split()
    return float(number) * UNITS[unit], UNITS[unit] * 10.0 ** -len(number.partition(".")[2]) / 2


def says(text: str, value: float) -> None:
    shown, half = read(text)
    assert shown == pytest.approx(value, abs=half * 1.001), f"{text} is shown for {value:,.0f} bytes"


def hold(holder: ElementHandle, settings: dict[str, int], lang: str) -> None:
    """The bars, the table and the sentence say what Python computes."""
    terms = computed(settings)
    shown = holder.eval_on_selector_all(
        ".live-map text[data-term]", "all => all.map(t => [t.dataset.term, t.textContent])"
    )
    assert [name for name, _ in shown] == list(terms)
    for name, text in shown:
        says(text, terms[name])
    widths = holder.eval_on_selector_all(
        ".live-map svg > rect", "all => all.map(bar => Number(bar.getAttribute('width')))"
    )
    most = max(terms.values())
    assert widths == pytest.approx([260 * size / most for size in terms.values()], abs=0.051)
    rows = holder.eval_on_selector_all(".live-numbers td", "all => all.map(cell => cell.textContent)")[1:]
    assert [float(cell) * 1e6 for cell in rows] == pytest.approx(list(terms.values()), abs=51)

    sentence = holder.query_selector(".live-reading").text_content()
    total, kept, activations = re.findall(r"[\d.]+ [kMGT]?B", sentence)
    model = terms["parameters"] + terms["gradients"] + terms["optimizer"]
    says(total, sum(terms.values()))
    says(kept, model)
    says(activations, sum(terms.values()) - model)
    share = float(re.search(r"([\d.]+)%", sentence)[1])
    assert share == pytest.approx(100 * terms["scores"] / sum(terms.values()), abs=0.0501)
    first, second = (int(number.replace(",", "")) for number in re.findall(r"n\s=\s([\d,]+)", sentence))
    for length, fixed in ((first, 0), (second, model)):
        for there, outweighs in ((length, True), (length - 1, False)):
            if there:
                at = computed(settings | {"length": there})
                rest = at["norms"] + at["projections"] + at["feed_forward"] + at["logits"] + fixed
                assert (at["scores"] > rest) == outweighs
    copy = {"zh": "float32 副本", "en": "float32 copy"}[lang]
    assert (copy in sentence) == (settings["bytes"] == 2)


def press(page: Page, key: str, keyboard: str, times: int = 1) -> None:
    page.focus(f"{FIGURE} [data-key={key}]")
    for _ in range(times):
        page.keyboard.press(keyboard)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_each_control_moved_with_the_keyboard_gives_pythons_numbers(
    page: Page, address: dict[str, str], lang: str
) -> None:
    holder, settings = opened(page, address[lang]), dict(START)
    page.focus(f"{FIGURE} .live-numbers summary")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{FIGURE} .live-numbers td", state="attached")
    hold(holder, settings, lang)
    for key, keyboard, times, value in (
        ("batch", "ArrowLeft", 5, 3),
        ("length", "ArrowLeft", 4, 64),
        ("width", "ArrowDown", 2, 1024),
        ("heads", "ArrowUp", 3, 1),
        ("layers", "End", 1, 48),
        ("vocabulary", "ArrowUp", 3, 100),
        ("bytes", "ArrowDown", 1, 2),
        ("length", "End", 1, 2**17),
        ("heads", "ArrowDown", 5, 32),
        ("layers", "Home", 1, 1),
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


def test_the_address_brings_a_state_back_and_ignores_what_cannot_be(page: Page, address: dict[str, str]) -> None:
    holder = opened(page, address["en"], "?batch=1&length=17&width=4096&layers=48&bytes=2&heads=3&vocabulary=7")
    page.click(f"{FIGURE} .live-numbers summary")
    page.wait_for_selector(f"{FIGURE} .live-numbers td", state="attached")
    settings = START | {"batch": 1, "length": 2**17, "width": 4096, "layers": 48, "bytes": 2}
    hold(holder, settings, "en")


def test_the_term_with_n_squared_is_marked_by_hatching_and_in_words(page: Page, address: dict[str, str]) -> None:
    holder = opened(page, address["zh"])
    fills = holder.eval_on_selector_all(".live-map svg > rect", "all => all.map(bar => bar.getAttribute('fill'))")
    hatched = [place for place, fill in enumerate(fills) if fill.startswith("url(")]
    assert hatched == [list(computed(START)).index("scores")]
    texts = holder.eval_on_selector_all(".live-map text", "all => all.map(text => text.textContent)")
    assert texts.count("∝ n²") == 1
    assert texts[texts.index("∝ n²") - 2] == "scores"
    assert texts.count("∝ n") == 4
    assert "斜线" in holder.query_selector(".live-map").get_attribute("aria-label")
    assert all(ord(letter) < 0x2E80 for text in texts for letter in text)  # one still picture serves both editions


@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_a_phone(page: Page, address: dict[str, str], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    opened(page, address["zh"], "?length=17&layers=48&width=4096")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.evaluate(
        """() => {
          const drawing = document.querySelector(".live-map svg");
          const box = drawing.getBoundingClientRect();
          return [...drawing.querySelectorAll("text")].filter(text => {
            const at = text.getBoundingClientRect();
            return at.left < box.left - 1 || at.right > box.right + 1;
          }).map(text => text.textContent);
        }"""
    )
    assert outside == []
