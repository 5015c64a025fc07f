"""How well a model does its task."""

from llmbook.evaluation.bigram import bigram_loss
from llmbook.evaluation.bleu import BLEU, bleu_from_statistics, bleu_statistics, corpus_bleu
from llmbook.evaluation.bootstrap import (
    Bootstrap,
    BootstrapScore,
    Metric,
    bleu_metric,
    bootstrap_difference,
    bootstrap_score,
)
from llmbook.evaluation.chrf import corpus_chrf
from llmbook.evaluation.pinyin import PinyinAccuracy, pinyin_accuracy
from llmbook.evaluation.token_losses import last_seen, token_losses
from llmbook.evaluation.translation_memory import Match, TranslationMemory

__all__ = [
    "BLEU",
    "Bootstrap",
    "BootstrapScore",
    "Match",
    "Metric",
    "PinyinAccuracy",
    "TranslationMemory",
    "bigram_loss",
    "bleu_from_statistics",
    "bleu_metric",
    "bleu_statistics",
    "bootstrap_difference",
    "bootstrap_score",
    "corpus_bleu",
    "corpus_chrf",
    "last_seen",
    "pinyin_accuracy",
    "token_losses",
]
