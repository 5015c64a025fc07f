"""How well a model does its task."""

from llmbook.evaluation.pinyin import PinyinAccuracy, pinyin_accuracy, transcribe

__all__ = ["PinyinAccuracy", "pinyin_accuracy", "transcribe"]
