"""What the chapters' notebooks import: sources shown live, claims, figures in the book's style."""

from llmbook.notebook.claims import Claim, claim
from llmbook.notebook.plots import COLORS, heatmap, use_book_style
from llmbook.notebook.recorded import Recorded, recorded
from llmbook.notebook.show import show

__all__ = ["COLORS", "Claim", "Recorded", "claim", "heatmap", "recorded", "show", "use_book_style"]
