"""How well a model does its task."""

from llmbook.evaluation.bleu import BLEU, corpus_bleu
from llmbook.evaluation.chrf import corpus_chrf
from llmbook.evaluation.pinyin import PinyinAccuracy, pinyin_accuracy, transcribe

__all__ = ["BLEU", "PinyinAccuracy", "corpus_bleu", "corpus_chrf", "pinyin_accuracy", "transcribe"]
