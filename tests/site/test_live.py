"""What every live figure must do, whatever it shows: each test runs for each figure that has a script."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlencode

import pytest
from accessibility import GLYPHS, violations
from live_figures import LANGUAGES, NAMES, WAIT, Figure, live_pictures
from playwright.sync_api import Browser

from llmbook.book.diagrams import diagram

Live = Callable[[str], Figure]
in_both_languages = pytest.mark.parametrize("lang", LANGUAGES)
of_all_figures = pytest.mark.parametrize("name", NAMES)
# what each control shows, by its key, and what it may not be
VALUES = """all => Object.fromEntries(all.map(one => [one.dataset.key, String(one.type === "checkbox" ? one.checked : one.value)]))"""
IMPOSSIBLE = """all => all.flatMap(one => {
  const step = Number(one.step) || 1;
  const wrong = {
    range: [Number(one.max) + step, Number(one.min) + step / 2, "NaN"],
    checkbox: ["maybe", "", "0"],
    "select-one": ["no option", "", one.value + "9"],
  }[one.type] || ["x".repeat(one.maxLength + 1)];
  return wrong.map(value => [one.dataset.key, String(value)]);
})"""
# all values of the controls by which a picture is stretched
EXTREMES = """all => all.flatMap(one => {
  if (one.type === "range") return [[one.dataset.key, one.min], [one.dataset.key, one.max]];
  if (one.type !== "select-one") return [];
  return [[one.dataset.key, one.options[0].value], [one.dataset.key, one.options[one.options.length - 1].value]];
})"""
# texts outside of the picture or on one another; a line of text is taller than its letters, a slanted one lies in a box of air
CROWDED = """holder => {
  const drawing = holder.querySelector(".live-map svg");
  if (!drawing) return [];
  const box = drawing.getBoundingClientRect();
  const all = [...drawing.querySelectorAll("text")].map(text =>
    [text.textContent, text.getBoundingClientRect(), text.matches("[transform]")]);
  const out = ([, at]) => at.left < box.left - 1 || at.right > box.right + 1 || at.top < box.top - 1 || at.bottom > box.bottom + 1;
  const meet = ([, a, slanted], [, b, other]) =>
    !slanted && !other && a.left < b.right && b.left < a.right && a.top + 4 < b.bottom && b.top + 4 < a.bottom;
  return [...all.filter(out), ...all.filter((one, i) => all.some((other, j) => i < j && meet(one, other)))].map(one => one[0]);
}"""
SERIES = """all => all.map(one => [one.dataset.series, one.dataset.mark || one.getAttribute("stroke-dasharray") || "solid"])"""
KEYS = """name => {
  const keys = value => value && typeof value === "object" ? Object.entries(value).map(([key, inner]) => [key, keys(inner)]).sort() : "";
  const { zh, en } = LLMBook.live.makers[name].words;
  return [JSON.stringify(keys(zh)), JSON.stringify(keys(en))];
}"""


def announced(figure: Figure) -> None:
    """Waits until a screen reader has been told all of the sentence, but what it says of another setting."""
    figure.page.wait_for_function(
        """at => {
          const [said, read, whole] = [".live-said", ".live-reading", ".live-whole"].map(part =>
            (document.querySelector(`${at} ${part}`)?.textContent ?? "").replace(/\\s/g, ""));
          return read && said.startsWith(read.replace(whole, ""));
        }""",
        arg=figure.at,
    )


def shown(figure: Figure) -> tuple[dict[str, str], str, str]:
    """The controls' values, the sentence, and the picture, when all that was changed is drawn."""
    announced(figure)
    values = figure.page.eval_on_selector_all(f"{figure.at} [data-key]", VALUES)
    picture = figure.page.query_selector(f"{figure.at} .live-map").inner_html()
    return values, figure.reading, picture


def moved(figure: Figure, key: str) -> None:
    """One step of a control by keyboard, the other way where it is at its end."""
    control = figure.page.query_selector(figure.control(key))
    kind = control.evaluate("one => one.type")
    control.focus()
    if kind == "checkbox":
        figure.page.keyboard.press("Space")
    elif kind in ("range", "select-one"):
        before = control.input_value()
        for keyboard in ("ArrowDown", "ArrowUp"):
            if control.input_value() == before:
                figure.page.keyboard.press(keyboard)
    else:
        figure.page.keyboard.press("Home")
        figure.page.keyboard.insert_text("好")


def started(figure: Figure, lang: str) -> list[str]:
    """Opens the page without a state and starts the figure by keyboard; what it asked for before and after that."""
    page, asked = figure.page, []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(figure.address(lang))
    page.wait_for_load_state("load")
    weights = page.evaluate("name => LLMBook.live.makers[name].weights", figure.name)
    assert not [url for url in asked if "/weights/" in url]
    if weights:
        assert page.is_visible(f"{figure.at} img")
        assert page.query_selector(f"{figure.at} .live-stage") is None
        page.focus(f"{figure.at} .live-start")
        page.keyboard.press("Enter")
        page.wait_for_selector(f"{figure.at}[data-live=on]", timeout=WAIT)
        page.wait_for_function("document.activeElement.className === 'live-controls'")
    assert page.query_selector(f"{figure.at}[data-live=on]")
    assert [url.rpartition("/")[2] for url in asked if "/weights/" in url] == [f"{weights}.js"] * bool(weights)
    return asked


def differ_without_colour(found: list[tuple[str, str]]) -> None:
    """No two series of a chart have the same dashes and marks."""
    signs: dict[str, set[str]] = {}
    for series, sign in found:
        signs.setdefault(series, set()).add(sign)
    assert len({frozenset(some) for some in signs.values()}) == len(signs), f"lines that differ in colour only: {signs}"


@in_both_languages
@of_all_figures
def test_it_starts_by_keyboard_with_all_its_words_and_is_its_picture_before_and_on_paper(
    live: Live, name: str, lang: str
) -> None:
    figure = live(name)
    page = figure.page
    started(figure, lang)
    assert page.query_selector(f"{figure.at} .live-start") is None
    drawn = page.query_selector(figure.at).evaluate(live_pictures.DRAWN)
    assert drawn + "\n" == diagram(f"live-{name}.svg", lang), "not what is stored: run `make pictures`"
    zh, en = page.evaluate(KEYS, name)
    assert zh == en
    differ_without_colour(page.eval_on_selector_all(f"{figure.at} .live-map [data-series]", SERIES))
    assert page.is_hidden(f"{figure.at} img")
    page.emulate_media(media="print")
    assert page.is_visible(f"{figure.at} img")
    assert page.is_hidden(f"{figure.at} .live-stage")
    assert page.get_attribute(f"{figure.at} .live-map", "aria-label")


@of_all_figures
def test_the_keyboard_moves_each_control_the_address_keeps_it_and_a_reset_takes_it_back(live: Live, name: str) -> None:
    figure = live(name).open("zh")
    page = figure.page
    controls = f"{figure.at} .live-controls :is(input, select, textarea, button)"
    assert (
        page.eval_on_selector_all(f"{controls}:not(button)", "all => all.filter(one => one.labels.length !== 1).length")
        == 0
    )
    page.focus(f"{figure.at} .live-controls")
    for place in range(len(page.query_selector_all(controls))):
        page.keyboard.press("Tab")
        reached = page.eval_on_selector_all(controls, "all => all.indexOf(document.activeElement)")
        assert reached == place
    at_first = shown(figure)
    for key in at_first[0]:
        moved(figure, key)
    page.wait_for_function(
        "([at, first]) => document.querySelector(`${at} .live-reading`).textContent !== first",
        arg=[figure.at, at_first[1]],
    )
    after = shown(figure)
    assert all(after[0][key] != value for key, value in at_first[0].items())
    address = page.evaluate("location.href")
    asked = {key: value for key, (value,) in parse_qs(address.partition("?")[2], keep_blank_values=True).items()}
    assert asked == after[0]
    other = page.eval_on_selector(
        ".llmbook-languages a",
        "link => { link.addEventListener('click', event => event.preventDefault()); link.click(); return link.href }",
    )
    assert "/en/" in other
    for again in (other, address):
        page.goto("about:blank")
        page.goto(again)
        page.wait_for_selector(f"{figure.at}[data-live=on]", timeout=WAIT)
        assert page.eval_on_selector_all(f"{figure.at} [data-key]", VALUES) == after[0]
    assert shown(figure) == after
    page.focus(f"{figure.at} .live-reset")
    page.keyboard.press("Enter")
    assert page.evaluate("location.href").endswith(figure.at)  # `page.url` follows a moment later
    page.wait_for_function(
        "([at, first]) => document.querySelector(`${at} .live-reading`).textContent === first",
        arg=[figure.at, at_first[1]],
    )
    assert shown(figure) == at_first


@of_all_figures
def test_a_damaged_address_changes_nothing_and_stops_nothing(live: Live, name: str) -> None:
    figure = live(name)
    page = figure.page
    page.goto(figure.address("en", "#%E0%A4%A?x=1"))
    if button := page.query_selector(f"{figure.at} .live-start"):
        button.click()
    page.wait_for_selector(f"{figure.at}[data-live=on]", timeout=WAIT)
    values = shown(figure)
    wrong = page.eval_on_selector_all(f"{figure.at} [data-key]", IMPOSSIBLE)
    strange = [("constructor", "x"), ("__proto__", "x"), ("nothing", "1")]
    while wrong:
        query = dict(wrong)  # the last of each key
        wrong = [pair for pair in wrong if pair[1] != query[pair[0]]]
        figure.open("en", urlencode([*query.items(), *strange]))
        assert shown(figure) == values, query


@in_both_languages
@of_all_figures
def test_it_fits_a_phone_in_each_extreme_and_is_accessible_in_both_colours(live: Live, name: str, lang: str) -> None:
    figure = live(name)
    page = figure.page
    page.emulate_media(reduced_motion="reduce", color_scheme="light")
    page.set_viewport_size({"width": 360, "height": 800})
    figure.open(lang)
    figure.open_table()
    assert page.evaluate(GLYPHS)[0] == ""
    for scheme in ("light", "dark"):
        page.emulate_media(reduced_motion="reduce", color_scheme=scheme)
        page.wait_for_function("scheme => document.documentElement.dataset.theme === scheme", arg=scheme)
        assert violations(page, "figure.live") == []
    delay = page.evaluate("name => LLMBook.live.makers[name].delay || 0", name)
    extremes = [
        (figure.control(key), value) for key, value in page.eval_on_selector_all(f"{figure.at} [data-key]", EXTREMES)
    ]
    for place in range(
        -1, 2 * len(extremes)
    ):  # as it starts; one after the other; then back, all small or all large at the end
        if place >= 0:
            control, value = [*extremes, *extremes[1::2], *extremes[::2]][place]
            if page.get_attribute(control, "type") == "range":
                page.fill(control, value)
            else:
                page.select_option(control, value)
            page.wait_for_timeout(delay)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        crowded = page.query_selector(figure.at).evaluate(CROWDED)
        assert crowded == [], f"outside of the picture or on another text at {page.url.partition('?')[2]}"


@in_both_languages
def test_without_scripts_every_figure_is_its_picture(browser: Browser, live_site, lang: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    for name in NAMES:
        figure = Figure(page, live_site, name)
        page.goto(figure.address(lang))
        assert page.is_visible(f"{figure.at} img")
        assert page.query_selector(f"{figure.at} button") is None
    context.close()
