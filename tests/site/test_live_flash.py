"""The live figure of attention in tiles, stepped with the keyboard: its tiles and its numbers are those of `llmbook.nn`."""

import math
import re
from collections.abc import Callable

import pytest
import torch
from live_figures import Figure

from llmbook.nn import causal_mask, flash_forward, scaled_dot_product_attention
from llmbook.nn.flash import tiles

Live = Callable[[str], Figure]
N = 6
STATE = "all => Object.fromEntries(all.map(one => [`${one.dataset.query} ${one.dataset.column}`, one.textContent]))"
KINDS = "all => Object.fromEntries(all.map(one => [one.dataset.cell, one.dataset.kind]))"
SCORES = "all => Object.fromEntries(all.map(one => [one.dataset.score, one.textContent]))"
PLACE = 'all => all.map(one => [one.value, one.max, one.getAttribute("aria-valuetext")])'


def in_words(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−").replace("inf", "∞")


def drawn(figure: Figure, within: str, script: str) -> dict[str, str]:
    return figure.page.eval_on_selector_all(f"{figure.at} .live-map {within}", script)


def place(figure: Figure) -> list[str]:
    """Where the slider is, its end, and what it says."""
    return figure.page.eval_on_selector_all(figure.control("step"), PLACE)[0]


def step(figure: Figure, by: int, keyboard: str = "Enter") -> None:
    figure.page.focus(f"{figure.at} [data-by='{by}']")
    figure.page.keyboard.press(keyboard)


def outputs(figure: Figure, block: int, causal: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The figure's scores, hidden ones −∞, and the outputs by tiles of this size, which are those by the whole matrix."""
    scores = torch.tensor(figure.numbers["scores"], dtype=torch.float64)
    query, key = scores[None, None] * math.sqrt(N), torch.eye(N, dtype=torch.float64)[None, None]
    value = torch.tensor(figure.numbers["values"], dtype=torch.float64)[None, None, :, None]
    found = flash_forward(query, key, value, causal=causal, block_size=block).output.flatten()
    mask = causal_mask(N) if causal else None
    torch.testing.assert_close(found, scaled_dot_product_attention(query, key, value, mask=mask).flatten())
    return scores.masked_fill(~causal_mask(N), -math.inf) if causal else scores, found


def hold(figure: Figure, block: int, causal: bool, at: int) -> None:
    """Cells, scores and the state of each query, when tile `at`, counted from 1, is being computed."""
    scores, output = outputs(figure, block, causal)
    values = torch.tensor(figure.numbers["values"], dtype=torch.float64)
    order = [(rows, columns) for rows, blocks in tiles(N, N, causal, block) for columns in blocks]
    kinds = {f"{i},{j}": "skipped" for i in range(N) for j in range(N)}
    for number, (rows, columns) in enumerate(order, 1):
        kind = "thrown" if number < at else "now" if number == at else "later"
        kinds |= {f"{i},{j}": kind for i in range(N)[rows] for j in range(N)[columns]}
    assert drawn(figure, "[data-cell]", KINDS) == kinds
    assert list(kinds.values()).count("now") == block**2
    read = [(i, j) for i in range(N) for j in range(N) if kinds[f"{i},{j}"] in ("now", "thrown")]
    assert drawn(figure, "[data-score]", SCORES) == {f"{i},{j}": in_words(scores[i, j].item(), 1) for i, j in read}

    rows, columns = order[at - 1]
    expected = {}
    for i in range(N)[rows]:  # of the first scores, all at once
        before, now = scores[i, : columns.start], scores[i, : columns.stop]
        old, new = (x.max().item() if len(x) else -math.inf for x in (before, now))
        weights = (now - new).exp()
        expected |= {f"{i} factor": in_words(math.exp(old - new), 3), f"{i} m": in_words(new, 1)}
        expected |= {f"{i} total": in_words(weights.sum().item(), 3)}
        expected |= {f"{i} sum": in_words((weights @ values[: columns.stop]).item(), 3)}
    ended = rows.start + block if at == len(order) or order[at][0] != rows else rows.start
    expected |= {f"{i} output": in_words(output[i].item(), 3) for i in range(ended)}
    assert drawn(figure, "[data-column]", STATE) == expected
    assert f" {block**2} " in figure.reading
    assert f"{at}" in figure.reading
    sums = re.findall(r"(\S+) × (\S+) \+ (\S+) ≈ ([−\d.]+)", figure.note)
    assert [one[3] for one in sums] == [expected[f"{rows.start} {column}"] for column in ("total", "sum")]
    for one in sums:
        factor, old, part, new = (float(text.replace("−", "-")) for text in one)
        assert round(factor * old + part, 3) == pytest.approx(new, abs=1e-9)  # to who reckons it after
    assert [cell for row in figure.rows[:N] for cell in row[N + 1 :] if cell] == [
        expected[f"{i} {column}"]
        for i in range(N)
        for column in ("factor", "m", "total", "sum", "output")
        if f"{i} {column}" in expected
    ]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("block", [1, 2, 3, 6])
def test_each_step_with_the_keyboard_is_that_of_python_and_ends_at_pythons_outputs(
    live: Live, block: int, causal: bool
) -> None:
    lang = "zh" if causal else "en"
    figure = live("flash").open(lang, f"block={block}&causal={str(causal).lower()}&step=1")
    figure.open_table()
    count = sum(len(blocks) for _, blocks in tiles(N, N, causal, block))
    for at in range(1, count + 1):
        assert place(figure)[:2] == [str(at), str(count)]
        hold(figure, block, causal, at)
        step(figure, 1, "Enter" if at % 2 else "Space")
    assert place(figure)[0] == str(count)  # there is no further one
    _, output = outputs(figure, block, causal)
    found = drawn(figure, "[data-column=output]", STATE)
    assert list(found.values()) == [in_words(one, 3) for one in output.tolist()]
    assert [q["sum"] / q["total"] for q in figure.numbers["queries"]] == pytest.approx(output.tolist(), rel=1e-12)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_it_starts_in_the_middle_goes_back_and_tells_a_screen_reader_the_numbers_of_the_step(
    live: Live, lang: str
) -> None:
    figure = live("flash").open(lang)
    figure.open_table()
    hold(figure, 2, True, 5)
    assert "ℓ′ = 0.3679 × 1.6065 + 1.0498 ≈ 1.641" in figure.note
    figure.page.wait_for_function(
        "at => document.querySelector(`${at} .live-said`).textContent.includes('0.368')", arg=figure.at
    )
    said = figure.page.text_content(f"{figure.at} .live-said")
    numbers = [text for key, text in drawn(figure, "[data-column]", STATE).items() if key[0] in "45"]
    assert len(numbers) == 8
    assert all(text in said for text in numbers)
    for at in (4, 3, 2, 1, 1):
        step(figure, -1)
        assert place(figure)[0] == str(at)
        hold(figure, 2, True, at)
    back = f"{figure.at} [data-by='-1']"
    assert figure.page.get_attribute(back, "aria-disabled") == "true"
    assert figure.page.evaluate("at => document.activeElement === document.querySelector(at)", back)
    figure.press("step", "ArrowRight", 2)
    assert figure.page.get_attribute(back, "aria-disabled") == "false"
    hold(figure, 2, True, 3)
    assert figure.page.evaluate("location.hash").endswith("?step=3")


def test_another_size_starts_again_but_at_the_end_stays_there_with_the_same_outputs(live: Live) -> None:
    figure = live("flash").open("en")
    figure.page.select_option(figure.control("block"), "1")
    assert place(figure) == ["1", "21", "1 of 21"]
    figure.press("step", "End")
    assert place(figure) == ["21", "21", "21 of 21"]
    found = []
    for block, count in (("1", 21), ("2", 6), ("6", 1), ("3", 3)):
        figure.page.select_option(figure.control("block"), block)
        assert place(figure)[0] == str(count)
        found.append(drawn(figure, "[data-column=output]", STATE))
    assert all(one == found[0] for one in found)
    assert len(found[0]) == N
    figure.press("causal", "Space")
    assert place(figure) == ["4", "4", "4 of 4"]
    assert drawn(figure, "[data-column=output]", STATE) != found[0]
    step(figure, -1)
    figure.press("causal", "Space")
    assert place(figure) == ["1", "3", "1 of 3"]


@pytest.mark.parametrize(
    ("query", "there"),
    [("step=7", "5 of 6"), ("block=6", "1 of 1"), ("block=3&step=36", "3 of 3"), ("block=1&step=21", "21 of 21")],
)
def test_an_address_may_ask_for_a_tile_that_is_not_there(live: Live, query: str, there: str) -> None:
    figure = live("flash").open("en", query)
    assert place(figure)[2] == there
