"""Figures: Chinese glyphs, the same bytes at each run, names that fit."""

import io
from itertools import pairwise

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import pytest

from llmbook.notebook import COLORS, heatmap, use_book_style


@pytest.fixture(autouse=True)
def _own_parameters():
    with mpl.rc_context():
        use_book_style()
        yield
        plt.close("all")


def drawn() -> bytes:
    figure, ax = plt.subplots()
    heatmap(ax, [[0.1, 0.9]], rows=["hái"], columns=["还", "没"], title="ǚ → 行")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def test_chinese_and_tone_marks_are_drawn_without_a_missing_glyph():
    # warnings are errors here: matplotlib warns of every glyph that its fonts lack
    assert b"<svg" in drawn()


def test_the_same_figure_has_the_same_bytes():
    assert drawn() == drawn()


def test_neighbouring_colours_differ_in_grey():
    lightness = [
        0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (mpl.colors.to_rgb(color) for color in COLORS.values())
    ]
    assert all(abs(a - b) > 0.05 for a, b in pairwise(lightness))


@pytest.mark.messages
def test_names_that_do_not_fit_the_matrix_are_refused():
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match=r"the matrix has shape \(1, 2\); got 1 row names and 1 column names"):
        heatmap(ax, [[0.1, 0.9]], rows=["a"], columns=["b"])
