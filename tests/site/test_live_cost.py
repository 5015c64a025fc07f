"""The live figure of cost against length, moved with the keyboard; what it shows is held to `llmbook.costs`."""

import math
import re
from collections.abc import Callable

import pytest
from live_figures import Figure

from llmbook.costs import crossover, layer_cost

START = {"width": 512, "kernel": 3, "length": 256}
MIXERS = ("attention", "recurrence", "convolution")
NAMES = {
    "zh": ("注意力", "循环神经网络（LSTM）", "卷积神经网络"),
    "en": ("attention", "the recurrent network", "the convolutional network"),
}
Live = Callable[[str], Figure]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def hold(figure: Figure, settings: dict[str, int], lang: str) -> None:
    """The table, the picture and the sentence say what Python computes."""
    n, d, k = settings["length"], settings["width"], settings["kernel"]
    costs = [layer_cost(mixer, seq_len=n, d_model=d, kernel_size=k) for mixer in MIXERS]
    assert [tuple(map(number, row[1:])) for row in figure.rows] == costs

    # higher in the picture is more, by the scale that its own lines give
    points = figure.all(".live-map circle", "dot => ['cx', 'cy'].map(at => Number(dot.getAttribute(at)))")
    lines = figure.all(
        ".live-map path[data-series]:not([data-mark])", "line => line.getAttribute('d').match(/[\\d.]+/g).map(Number)"
    )
    start = layer_cost("recurrence", seq_len=16, d_model=d).multiplications
    decade = (lines[1][-1] - lines[1][1]) / math.log10(2**13)
    for (x, y), cost, line in zip(points, costs, lines, strict=True):
        assert y == pytest.approx(lines[1][1] + decade * math.log10(cost.multiplications / start), abs=0.3)
        assert y == line[1::2][line[::2].index(x)]
    meets = {name: crossover(d, against=name, kernel_size=k) for name in MIXERS[1:]}
    marks = figure.texts(".live-map [data-mark=diamond] title")
    assert marks == [f"n = {length:,}" for length in meets.values() if length]

    first, rest = re.split(r"[。.](?!\d)", figure.reading, maxsplit=1)
    least = min(cost.multiplications for cost in costs)
    dearer = [cost.multiplications / least for cost in costs if cost.multiplications > least]
    assert re.match(rf"(?:At )?n\s=\s{n:,}\b", first)
    shown = [float(ratio.replace(",", "")) for ratio in re.findall(r"([\d.,]+) (?:倍|times)", first)]
    assert shown == pytest.approx(dearer, rel=0.006)
    for name, cost in zip(NAMES[lang], costs, strict=True):
        ratio = {"zh": f"{name}是它的", "en": f"{name} needs"}[lang]
        assert (ratio in first) == (cost.multiplications > least)
        assert (name in first) == bool(dearer)
    assert f"2D\xa0=\xa0{2 * d:,}" in rest
    assert (f"(k\xa0−\xa02)D\xa0=\xa0{meets['convolution']:,}" in rest) == (k > 2)
    assert ("不论多长" in rest or "at any length" in rest) == (k == 2)
    assert {"zh": f"LSTM 的 {n:,} 步", "en": f"its {n:,} steps"}[lang] in rest


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_each_control_moved_with_the_keyboard_gives_pythons_numbers(live: Live, lang: str) -> None:
    figure, settings = live("cost").open(lang), dict(START)
    hold(figure, settings, lang)
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
        figure.press(key, keyboard, times)
        settings[key] = value
        hold(figure, settings, lang)


def test_the_address_is_read_to_the_letter(live: Live) -> None:
    hold(live("cost").open("en", "width=4096&kernel=5&length=17"), {"width": 4096, "kernel": 5, "length": 2**17}, "en")
    for query in (
        "width=100&kernel=1&length=18.5",
        "width=&kernel=&length=",
        "width=1e3&kernel=04&length= 9",
        "length=-Infinity",
    ):
        hold(live("cost").open("zh", query), START, "zh")


def test_every_length_kernel_and_width_of_the_controls(live: Live) -> None:
    figure = live("cost").open()
    for width in (64, 1024):
        figure.page.select_option(figure.control("width"), str(width))
        for kernel in (2, 3, 4, 5):
            figure.page.fill(figure.control("kernel"), str(kernel))
            for power in range(4, 18):
                figure.page.fill(figure.control("length"), str(power))
                hold(figure, {"width": width, "kernel": kernel, "length": 2**power}, "en")


def test_where_attention_meets_another_their_points_lie_on_the_mark(live: Live) -> None:
    figure = live("cost").open("en", "length=10")
    at = figure.all(".live-map circle", "dot => [dot.getAttribute('cx'), dot.getAttribute('cy')]")
    assert at[0] == at[1] != at[2]
    diamond = figure.all(".live-map [data-mark=diamond]", "mark => mark.getAttribute('d')")[0]
    assert diamond.startswith(f"M{at[0][0]} {float(at[0][1]) - 7:.1f}")


def test_each_line_is_named_at_its_end(live: Live) -> None:
    assert live("cost").open("zh").texts(".live-map [data-end]") == ["CNN", "LSTM", "注意力"]
    assert live("cost").open("en").texts(".live-map [data-end]") == ["CNN", "LSTM", "attention"]
