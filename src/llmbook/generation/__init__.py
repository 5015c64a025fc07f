"""From a trained model to text."""

from llmbook.generation.generate import LanguageModel, generate

__all__ = ["LanguageModel", "generate"]
