"""An exercise, its cases and its verdicts, and `check()` in the notebook."""
