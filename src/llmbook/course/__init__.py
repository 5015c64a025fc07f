"""What notebooks import: `check`, `case`, `solution` and `hand_in_check` of exercises, and what `llmbook.notebook` has."""

from llmbook.exercises.checking import case, check, solution
from llmbook.grading.handing_in import hand_in_check
from llmbook.notebook import claim, recorded, show

__all__ = ["case", "check", "claim", "hand_in_check", "recorded", "show", "solution"]
