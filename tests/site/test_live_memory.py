"""The live figure of memory by term, moved with the keyboard; what it shows is held to `llmbook.costs`."""

import re
from collections.abc import Callable
from dataclasses import asdict

import pytest
from live_figures import Figure

from llmbook.costs import activation_memory, num_parameters, parameter_memory

START = {"batch": 8, "length": 1024, "width": 512, "heads": 8, "layers": 6, "vocabulary": 32_000, "bytes": 4}
UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
Live = Callable[[str], Figure]


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


def hold(figure: Figure, settings: dict[str, int], lang: str) -> None:
    """The bars, the table and the sentence say what Python computes."""
    terms = computed(settings)
    for text, value in zip(figure.texts(".live-map text[data-value]"), terms.values(), strict=True):
        says(text, value)
    widths = figure.all(".live-map rect[data-bar]", "bar => Number(bar.getAttribute('width'))")
    most = max(terms.values())
    assert widths == pytest.approx([260 * size / most for size in terms.values()], abs=0.051)
    assert [float(cell) * 1e6 for (cell,) in figure.rows] == pytest.approx(list(terms.values()), abs=51)

    sentence = figure.reading
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


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_each_control_moved_with_the_keyboard_gives_pythons_numbers(live: Live, lang: str) -> None:
    figure, settings = live("memory").open(lang), dict(START)
    figure.page.focus(f"{figure.at} .live-numbers summary")
    figure.page.keyboard.press("Enter")
    figure.page.wait_for_selector(f"{figure.at} .live-numbers td", state="attached")
    hold(figure, settings, lang)
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
        figure.press(key, keyboard, times)
        settings[key] = value
        hold(figure, settings, lang)


def test_the_address_brings_the_largest_model(live: Live) -> None:
    figure = live("memory").open("en", "batch=1&length=17&width=4096&layers=48&bytes=2&heads=3&vocabulary=7")
    figure.open_table()
    hold(figure, START | {"batch": 1, "length": 2**17, "width": 4096, "layers": 48, "bytes": 2}, "en")


@pytest.mark.parametrize(("lang", "scores", "hatching"), [("zh", "注意力", "斜线"), ("en", "Attention", "Hatching")])
def test_the_term_with_n_squared_is_marked_by_hatching_and_in_words(
    live: Live, lang: str, scores: str, hatching: str
) -> None:
    figure = live("memory").open(lang)
    fills = figure.all(".live-map rect[data-bar]", "bar => bar.getAttribute('fill')")
    hatched = [place for place, fill in enumerate(fills) if fill.startswith("url(")]
    assert hatched == [list(computed(START)).index("scores")]
    texts = figure.texts(".live-map text")
    assert texts.count("∝ n²") == 1
    assert texts[texts.index("∝ n²") - 2] == scores
    assert texts.count("∝ n") == 4
    assert hatching in figure.page.get_attribute(f"{figure.at} .live-map", "aria-label")
