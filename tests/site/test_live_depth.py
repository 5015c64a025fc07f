"""The live figure of depth: its gradients by layer are those of torch's autograd through the package's own modules."""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import product
from pathlib import Path

import pytest
import torch
from accessibility import violations
from playwright.sync_api import Browser, Page
from torch import Tensor

from llmbook.nn import FeedForward, LayerNorm
from llmbook.site.build import Site, build_site

PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>\n'
PAGE = (
    "# A page\n\n```{figure} /diagrams/live-depth.svg\n:name: fig-live-depth\n:figclass: live\n:alt: a picture\n\n"
    "A caption.\n```\n"
)
HOLDER = "#fig-live-depth"
WAIT = 60_000
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


@pytest.fixture(scope="module")
def depth_site(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fixture's site with one more page, which has the figure."""
    for images in site.images.values():
        (images / "live-depth.svg").write_text(PICTURE, encoding="utf-8")
    pages = {lang: {**pages, "live": PAGE} for lang, pages in site.pages.items()}
    folder = tmp_path_factory.mktemp("depth")
    weights = folder / "pinyin.js"
    weights.write_text("// weights\n", encoding="utf-8")
    return build_site(replace(site, pages=pages, build=folder / "build", weights=[weights]))


def opened(page: Page, built: Path, lang: str, query: str = "") -> None:
    page.goto("about:blank")
    page.goto((built / lang / "live.html").as_uri() + (f"{HOLDER}?{query}" if query else ""))
    page.wait_for_selector(f"{HOLDER}[data-live=on]", timeout=WAIT)


def control(key: str) -> str:
    return f"{HOLDER} [data-key={key}]"


def shown(page: Page) -> dict[str, list[float]]:
    data = page.eval_on_selector(f"{HOLDER} .live-map", "map => ({...map.dataset})")
    return {name: json.loads(data[name]) for name in ("gradient", "forward")}


def assert_python_agrees(page: Page, depth: int, residual: bool, norm: str, gain: float) -> None:
    found, expected = shown(page), norms(depth, residual, norm, gain)
    assert len(found["gradient"]) == len(found["forward"]) == depth + 1
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-6, abs=0), (depth, residual, norm, gain, name)


def number(text: str) -> float:
    """0.0123 and 1.23 × 10⁻⁷."""
    powers = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    return float(text.replace(" × 10", "e").translate(powers))


def factors(page: Page) -> list[float]:
    """What the sentence says: of the gradient from the output to the input, of x from the input to the output."""
    said = page.text_content(f"{HOLDER} .live-reading")
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
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_computes_what_autograd_computes(
    page: Page, depth_site: Path, lang: str, residual: bool, norm: str
) -> None:
    more = ((1, 1.0), (7, 2.0), (24, 1.3), (48, 0.5), (48, 1.0)) if lang == "zh" else ()
    for depth, gain in ((24, 1.0), (48, 2.0), *more):
        opened(page, depth_site, lang, f"depth={depth}&residual={str(residual).lower()}&norm={norm}&gain={gain}")
        assert_python_agrees(page, depth, residual, norm, gain)
        expected = norms(depth, residual, norm, gain)
        assert factors(page) == pytest.approx(
            [
                expected["gradient"][0] / expected["gradient"][-1],
                expected["forward"][-1] / expected["forward"][0],
            ],
            rel=5e-3,
        )


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_keyboard_moves_every_control_and_the_address_remembers(page: Page, depth_site: Path, lang: str) -> None:
    opened(page, depth_site, lang)
    assert_python_agrees(page, 24, False, "none", 1.0)
    page.focus(control("depth"))
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert page.input_value(control("norm")) == "pre"
    page.keyboard.press("Tab")
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    assert_python_agrees(page, 27, True, "pre", 0.8)
    assert page.url.endswith(f"{HOLDER}?depth=27&residual=true&norm=pre&gain=0.8")
    said = page.text_content(f"{HOLDER} .live-reading")
    page.wait_for_function(
        "said => document.querySelector('#fig-live-depth [aria-live]').textContent === said", arg=said
    )
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.url.endswith(HOLDER)
    assert_python_agrees(page, 24, False, "none", 1.0)


def test_a_damaged_address_changes_nothing(page: Page, depth_site: Path) -> None:
    opened(page, depth_site, "en", "depth=49&residual=maybe&norm=batch&gain=0.75")
    assert_python_agrees(page, 24, False, "none", 1.0)


def test_the_sentence_says_the_factors_in_both_languages(page: Page, depth_site: Path) -> None:
    opened(page, depth_site, "zh")
    zh = page.text_content(f"{HOLDER} .live-reading")
    opened(page, depth_site, "en")
    en = page.text_content(f"{HOLDER} .live-reading")
    expected = norms(24, False, "none", 1.0)
    digits, power = f"{expected['gradient'][0]:.2e}".split("e")
    powers = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    factor = f"{digits} × 10{str(int(power)).translate(powers)}"
    assert zh.startswith(f"24 层：第一层输入处的梯度，范数是输出处的 {factor} 倍；")
    assert en.startswith(f"Depth 24: the gradient’s norm at the input of the first layer is {factor} times that")


def test_the_two_curves_differ_by_more_than_colour(page: Page, depth_site: Path) -> None:
    for depth, markers in ((24, 25), (48, 25), (47, 25), (1, 2)):
        opened(page, depth_site, "en", f"depth={depth}&gain=1.2")
        drawn = f"{HOLDER} .live-map svg"
        assert len(page.query_selector_all(f"{drawn} circle title")) == markers
        assert len(page.query_selector_all(f"{drawn} rect title")) == markers
        assert len(page.query_selector_all(f"{drawn} path[stroke-dasharray]")) == 2  # the curve and its key
        assert "NaN" not in page.inner_html(drawn)


def test_a_gradient_of_zero_is_said_to_be_zero_and_not_drawn(page: Page, depth_site: Path) -> None:
    """No setting of the figure gets there, so relu is made to let nothing through."""
    opened(page, depth_site, "en")
    page.evaluate("() => { const max = Math.max; Math.max = (...all) => (all[0] === 0 ? 0 : max(...all)); }")
    page.focus(control("depth"))
    page.keyboard.press("ArrowRight")
    assert shown(page)["gradient"] == [0] * 25 + [pytest.approx(1)]
    assert factors(page) == [0, 0]
    drawn = f"{HOLDER} .live-map svg"
    assert "NaN" not in page.inner_html(drawn)
    assert len(page.query_selector_all(f"{drawn} circle title")) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_figure_is_accessible_and_fits_a_phone(browser: Browser, depth_site: Path, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 360, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    for lang in ("zh", "en"):
        opened(page, depth_site, lang)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert violations(page, "figure.live") == []
    context.close()
