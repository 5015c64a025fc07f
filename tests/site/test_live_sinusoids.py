"""The live figure of sinusoidal positions, moved with the keyboard; what it shows is held to `llmbook.nn`."""

import re
from collections.abc import Callable

import pytest
from live_figures import Figure

from llmbook.nn import sinusoidal_encoding


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_it_gives_the_dot_product_by_keyboard(live: Callable[[str], Figure], lang: str) -> None:
    figure = live("sinusoids").open(lang)
    for base, width, distance in ((4, 64, 13), (2, 64, 13), (2, 16, 13)):
        for key, value, step in (("base", base, 1), ("width", width, 2), ("distance", distance, 1)):
            away = (value - int(figure.page.input_value(figure.control(key)))) // step
            figure.press(key, "ArrowRight" if away > 0 else "ArrowLeft", abs(away))
        table = sinusoidal_encoding(distance + 6, width, base=10.0**base)
        expected = (table[5] @ table[5 + distance]).item()
        product, share = (float(found.replace("−", "-")) for found in re.findall(r"−?\d+\.\d+", figure.reading))
        assert product == pytest.approx(expected, abs=1e-4)
        assert share == pytest.approx(expected / (width // 2), abs=1e-3)
        assert str(width // 2) in figure.reading
        (line,) = figure.all(
            ".live-map path[data-series]", "line => line.getAttribute('d').match(/[\\d.]+/g).map(Number)"
        )
        (at,) = figure.all(".live-map circle", "dot => Number(dot.getAttribute('cy'))")
        assert at == line[1::2][2 * distance]
        _, zero, most = figure.all(
            ".live-map path[d*='H']:not([d*='V'])", "line => Number(/ ([\\d.]+)H/.exec(line.getAttribute('d'))[1])"
        )
        assert (zero - at) / (zero - most) == pytest.approx(expected / (width // 2), abs=0.002)
