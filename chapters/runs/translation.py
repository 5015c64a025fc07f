"""How good is the book's translator, on pages that training never saw and on everyday sentences?

It is held against a translation memory, which gives the translation of the most similar training sentence.

Book: §1.2.1
"""

from dataclasses import dataclass
from functools import cache

from llmbook.data import TranslationPair, everyday_pairs, translation_mixture, translation_pairs
from llmbook.evaluation import (
    TranslationMemory,
    bleu_metric,
    bootstrap_difference,
    bootstrap_score,
    corpus_bleu,
    corpus_chrf,
)
from llmbook.generation import load_translator


@dataclass(frozen=True, kw_only=True)
class Config:
    num_beams: int  # 0 stands for the translation memory
    length_penalty: float = 1.0
    resamples: int = 1000


CONFIGS = {
    "translation memory": Config(num_beams=0),
    "greedy": Config(num_beams=1),
    "beam search": Config(num_beams=4),
    "beam search, sums": Config(num_beams=4, length_penalty=0.0),
}
SEEDS = (0,)
DATA = (
    "libreoffice/help.jsonl.gz",
    "interface/libreoffice.jsonl.gz",
    "interface/python.jsonl.gz",
    "hsk/sentences.jsonl.gz",
    "weights/translator/model.safetensors",
    "weights/translator/config.json",
    "weights/translator/tokenizer.json",
)
LENGTHS = ((1, 5), (6, 10), (11, 20), (21, 40), (41, 80), (81, 1000))  # of the Chinese, in characters


@cache
def memory() -> TranslationMemory:
    return TranslationMemory([(pair.zh, pair.en) for pair in translation_mixture()])


def from_memory(pairs: list[TranslationPair]) -> list[str]:
    return [memory().nearest(pair.zh).target for pair in pairs]


def translated(pairs: list[TranslationPair], config: Config) -> list[str]:
    if config.num_beams == 0:
        return from_memory(pairs)
    texts = [pair.zh for pair in pairs]
    return load_translator().translate(texts, num_beams=config.num_beams, length_penalty=config.length_penalty)


def measure(config: Config, seed: int, *, limit: int | None = None) -> dict[str, float | list[float]]:
    found: dict[str, float | list[float]] = {}
    for domain, pairs in (("help", translation_pairs().test[:limit]), ("everyday", everyday_pairs().test[:limit])):
        written, right = translated(pairs, config), [[pair.en] for pair in pairs]
        bleu, settings = (
            corpus_bleu(written, right),
            {"metric": bleu_metric(), "num_samples": config.resamples, "seed": seed},
        )
        if domain == "help":  # paragraphs of a page resemble each other
            settings["documents"] = [pair.page for pair in pairs]
        own = bootstrap_score(written, right, **settings)
        gain = bootstrap_difference(written, from_memory(pairs), right, **settings)
        found |= {
            f"{domain} bleu": bleu.score,
            f"{domain} bleu interval": [own.low, own.high],
            f"{domain} chrf": corpus_chrf(written, right),
            f"{domain} length ratio": bleu.hypothesis_length / bleu.reference_length,
            f"{domain} gain": gain.difference,
            f"{domain} gain interval": [gain.low, gain.high],
            f"{domain} by length": [
                corpus_bleu([written[i] for i in group], [right[i] for i in group]).score if group else 0.0
                for low, high in LENGTHS
                for group in [[i for i, pair in enumerate(pairs) if low <= len(pair.zh) <= high]]
            ],
        }
    return found
