"""What notebooks import: `check` and `solution` of exercises, and what `llmbook.notebook` has."""

from llmbook.exercises.checking import check, solution
from llmbook.notebook import claim, recorded, show

__all__ = ["check", "claim", "recorded", "show", "solution"]
