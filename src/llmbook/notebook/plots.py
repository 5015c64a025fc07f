"""Figures in one style: vector output, text as text, colours that colour-blind readers tell apart and that differ in grey, a Chinese font.

Book: §1.2.1
"""

from collections.abc import Sequence

import matplotlib as mpl
from cycler import cycler
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import print_figure
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib_inline.backend_inline import set_matplotlib_formats
from numpy.typing import ArrayLike

from llmbook.assets import vendored
from llmbook.drawing import FONT, with_font

# Okabe and Ito's colours, ordered so that neighbours differ in lightness too.
COLORS = {
    "blue": "#0072B2",
    "orange": "#E69F00",
    "red": "#D55E00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "black": "#000000",
}


def use_book_style() -> None:
    """Sets the book's style for all later figures of this kernel, and SVG as their format, the same bytes at each run.

    Each figure carries the glyphs that it needs, so that it looks the same on a system without the font.
    """
    font = vendored(FONT)
    font_manager.fontManager.addfont(font)
    family = font_manager.FontProperties(fname=font).get_name()
    mpl.rcParams.update(
        {
            "font.family": [family, "DejaVu Sans"],
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=list(COLORS.values()))
            + cycler(linestyle=["-", "--", "-.", ":", "-", "--"]),
            "axes.unicode_minus": False,
            "figure.figsize": (6.4, 3.6),
            "figure.constrained_layout.use": True,
            "legend.frameon": False,
            "svg.fonttype": "none",
            "svg.hashsalt": "llmbook",
        }
    )
    set_matplotlib_formats("svg")
    formatter = InteractiveShell.instance().display_formatter.formatters["image/svg+xml"]
    formatter.for_type(Figure, lambda figure: with_font(print_figure(figure, "svg", metadata={"Date": None}), font))


def heatmap(
    ax: Axes,
    values: ArrayLike,
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str = "",
    vmin: float = 0.0,
    vmax: float = 1.0,
) -> AxesImage:
    """Draws a matrix with its row names at the left and its column names above, dark for large.

    Raises:
        ValueError: the names do not fit the matrix.
    """
    image = ax.imshow(values, cmap="Blues", vmin=vmin, vmax=vmax, aspect="equal")
    shape = image.get_array().shape
    if shape != (len(rows), len(columns)):
        raise ValueError(f"the matrix has shape {shape}; got {len(rows)} row names and {len(columns)} column names")
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    return image
