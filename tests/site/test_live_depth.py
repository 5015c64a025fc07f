"""The live figure of depth: its gradients by layer are those of torch's autograd through the package's own modules."""

import math
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product

import pytest
import torch
from live_figures import Figure
from torch import Tensor

from llmbook.nn import FeedForward, LayerNorm

Live = Callable[[str], Figure]
DEEPEST, ROWS, WIDTH, INNER = 48, 16, 32, 64
VARIANTS = list(product([False, True], ["none", "pre", "post"]))


def mulberry32(seed: int) -> Iterator[float]:
    """The generator of the page: uniform in [0, 1)."""
    state, cut = seed, 0xFFFFFFFF
    while True:
        state = (state + 0x6D2B79F5) & cut
        t = ((state ^ (state >> 15)) * (state | 1)) & cut
        t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & cut)) & cut
        yield (t ^ (t >> 14)) / 2**32


@lru_cache
def network() -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
    """Inputs, gradients at the output, and every layer's weights."""
    random = mulberry32(1)

    def uniform(rows: int, columns: int, most: float) -> Tensor:
        values = [(2 * next(random) - 1) * most for _ in range(rows * columns)]
        return torch.tensor(values, dtype=torch.float64).view(rows, columns)

    inputs, gradients = uniform(ROWS, WIDTH, math.sqrt(3)), uniform(ROWS, WIDTH, 1.0)
    most = math.sqrt(6 / (WIDTH + INNER))
    layers = [(uniform(INNER, WIDTH, most), uniform(WIDTH, INNER, most)) for _ in range(DEEPEST)]
    return inputs, gradients / gradients.norm(dim=1, keepdim=True), layers


@lru_cache
def sublayers(gain: float) -> list[FeedForward]:
    made = []
    for inner, outer in network()[2]:
        layer = FeedForward(WIDTH, INNER, use_bias=False).double()
        layer.inner.weight.data = inner * gain
        layer.outer.weight.data = outer * gain
        made.append(layer)
    return made


@lru_cache
def norms(depth: int, residual: bool, norm: str, gain: float) -> dict[str, list[float]]:
    """The norms after 0, 1, …, L layers, of x and of the gradient, root mean squares over the rows."""
    inputs, gradients, _ = network()
    normalize = LayerNorm(WIDTH).double()
    before: Callable[[Tensor], Tensor] = normalize if norm == "pre" else lambda x: x
    after: Callable[[Tensor], Tensor] = normalize if norm == "post" else lambda x: x
    states = [inputs.clone().requires_grad_()]
    for f in sublayers(gain)[:depth]:
        x = states[-1]
        states.append(after(x + f(before(x)) if residual else f(before(x))))
    found = torch.autograd.grad(states[-1], states, gradients)

    def root(x: Tensor) -> float:
        return x.square().sum(dim=1).mean().sqrt().item()

    return {"gradient": [root(x) for x in found], "forward": [root(x.detach()) for x in states]}


def assert_python_agrees(figure: Figure, depth: int, residual: bool, norm: str, gain: float) -> None:
    found, expected = figure.numbers, norms(depth, residual, norm, gain)
    assert len(found["gradient"]) == len(found["forward"]) == depth + 1
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-6, abs=0), (depth, residual, norm, gain, name)


def number(text: str) -> float:
    """0.0123 and 1.23 × 10⁻⁷."""
    powers = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    return float(text.replace(" × 10", "e").translate(powers))


def factors(figure: Figure) -> list[float]:
    """What the sentence says: of the gradient from the output to the input, of x from the input to the output."""
    said = figure.reading
    found = re.findall(r"\d+(?:\.\d+)?(?: × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?", said)
    assert len(found) == 3, said
    return [number(text) for text in found[1:]]


def test_no_setting_of_the_figure_leaves_what_a_float_can_hold() -> None:
    for residual, norm in VARIANTS:
        for gain in (0.5, 1.0, 2.0):
            for values in norms(DEEPEST, residual, norm, gain).values():
                assert all(1e-60 < value < 1e60 for value in values), (residual, norm, gain)


def test_without_residuals_a_gain_keeps_the_gradient_and_without_it_layers_shrink_it() -> None:
    """E‖f(x)‖² = (2/3 · g²)² ‖x‖² over Xavier's weights of 32 → 64 → 32, so √1.5 keeps it and 1 loses a third a layer."""
    for gain in (1.0, 1.2):
        one_layer = norms(DEEPEST, False, "none", gain)["gradient"][0] ** (1 / DEEPEST)
        assert one_layer == pytest.approx(2 / 3 * gain**2, rel=0.1)
    assert norms(DEEPEST, True, "none", 1.0)["gradient"][0] > 100
    assert 0.2 < norms(DEEPEST, True, "pre", 1.0)["gradient"][0] < 10


@pytest.mark.parametrize(("residual", "norm"), VARIANTS)
def test_the_page_computes_what_autograd_computes(live: Live, residual: bool, norm: str) -> None:
    figure = live("depth").open("zh", f"residual={str(residual).lower()}&norm={norm}")
    for depth, gain in ((24, 1.0), (48, 2.0), (1, 1.0), (7, 2.0), (24, 1.3), (48, 0.5), (48, 1.0)):
        figure.page.fill(figure.control("depth"), str(depth))
        figure.page.fill(figure.control("gain"), str(gain))
        assert_python_agrees(figure, depth, residual, norm, gain)
        expected = norms(depth, residual, norm, gain)
        gradient, forward = expected["gradient"], expected["forward"]
        assert factors(figure) == pytest.approx([gradient[0] / gradient[-1], forward[-1] / forward[0]], rel=5e-3)
    figure.open_table()
    table = [[number(cell) for cell in row] for row in figure.rows]
    assert table == [pytest.approx(pair, rel=5e-3) for pair in zip(gradient, forward, strict=True)]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_keyboard_and_the_address_give_pythons_numbers(live: Live, lang: str) -> None:
    figure = live("depth").open(lang, "depth=27&residual=true&norm=post&gain=0.9")
    assert_python_agrees(figure, 27, True, "post", 0.9)
    figure.press("depth", "ArrowRight", 3)
    for keyboard in ("Tab", "Space", "Tab", "ArrowUp", "Tab", "ArrowLeft", "ArrowLeft"):
        figure.page.keyboard.press(keyboard)
    assert_python_agrees(figure, 30, False, "pre", 0.7)
    figure.open(lang, "depth=49&residual=maybe&norm=batch&gain=0.75")
    assert_python_agrees(figure, 24, False, "none", 1.0)


def test_the_sentence_says_the_factors_in_both_languages(live: Live) -> None:
    expected = norms(24, False, "none", 1.0)
    digits, power = f"{expected['gradient'][0]:.2e}".split("e")
    powers = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    factor = f"{digits} × 10{str(int(power)).translate(powers)}"
    zh, en = (live("depth").open(lang).reading for lang in ("zh", "en"))
    assert zh.startswith(f"24 个子层：第一个子层输入处的梯度，范数是输出处的 {factor} 倍；")
    assert en.startswith(f"24 sublayers: the gradient’s norm at the input of the first is {factor} times that")


def test_marks_say_their_numbers_and_are_never_crowded(live: Live) -> None:
    figure = live("depth").open("en", "gain=1.2")
    for depth, markers in ((24, 25), (48, 25), (47, 25), (1, 2)):
        figure.page.fill(figure.control("depth"), str(depth))
        for shape in ("circle", "rect"):
            titles = figure.texts(f".live-map {shape} title")
            assert len(titles) == markers
            assert titles[-1].startswith(f"l = {depth}: ")
        assert len(figure.all(".live-map path[stroke-dasharray]", "one => 1")) == 2  # the curve and its key
        assert "NaN" not in figure.page.inner_html(f"{figure.at} .live-map")


def test_a_gradient_of_zero_is_said_to_be_zero_and_not_drawn(live: Live) -> None:
    """No setting of the figure gets there, so relu is made to let nothing through."""
    figure = live("depth").open()
    figure.page.evaluate("() => { const max = Math.max; Math.max = (...all) => (all[0] === 0 ? 0 : max(...all)); }")
    figure.press("depth", "ArrowRight")
    assert figure.numbers["gradient"] == [0] * 25 + [pytest.approx(1)]
    assert factors(figure) == [0, 0]
    assert "NaN" not in figure.page.inner_html(f"{figure.at} .live-map")
    assert len(figure.texts(".live-map circle title")) == 1
