"""What notebooks import: `check`, `case` and `solution` of exercises, and what `llmbook.notebook` has."""

from llmbook.exercises.checking import case, check, solution
from llmbook.notebook import claim, recorded, show

__all__ = ["case", "check", "claim", "recorded", "show", "solution"]
