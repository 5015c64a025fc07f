"""BLEU: how many of a translation's n-grams stand in a reference too.

Book: §4.1.1
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import numpy as np
from jaxtyping import Int

from llmbook.checks import require_list
from llmbook.evaluation.bleu_tokenizers import TOKENIZERS

MAX_ORDER = 4
SMOOTHING_VALUES = {"none": None, "exp": None, "floor": 0.1, "add-k": 1.0}


@dataclass(frozen=True)
class BLEU:
    """The score and the four precisions p₁ … p₄ (after smoothing) in percent, the brevity penalty, the lengths c and r in words."""

    score: float
    precisions: tuple[float, ...]
    brevity_penalty: float
    hypothesis_length: int
    reference_length: int


def corpus_bleu(
    hypotheses: Iterable[str],
    references: Iterable[Iterable[str]],
    *,
    tokenize: str = "13a",
    smoothing: str = "exp",
    smoothing_value: float | None = None,
) -> BLEU:
    """BLEU = 100 · BP · exp(¼ Σₙ log pₙ) over n = 1 … 4, with BP = min(1, exp(1 − r/c)).

    Papineni et al. 2002, section 2.3. pₙ is the share of the hypotheses' n-grams that a reference has too, each counted at most as often
    as in the one reference that has it most often (section 2.1); numerators and denominators are summed over the corpus before they are
    divided. c is the length of all hypotheses, r the sum of the reference lengths closest to each, the shorter of two equally close.

    Leaves out: lower case, tokenizers that need a dictionary or a model (Japanese, Korean, sentencepiece).

    Args:
        hypotheses: one text a sentence.
        references: one list of texts a hypothesis, as many as there are; sacrebleu takes the transpose, one list a translator.
        tokenize: "13a" for Western languages, "zh" for Chinese, "char" by characters, "none" by white space.
        smoothing: what an order without a match counts (Chen and Cherry 2014): nothing, so that the score is 0 ("none"); `smoothing_value`
            matches ("floor", method 1); ½ at the first such order, ¼ at the next, … ("exp", method 3). "add-k" (method 2) adds
            `smoothing_value` to numerator and denominator of p₂ … p₄. Without any match at all the score is 0 in each of them.
        smoothing_value: 0.1 by default for "floor", 1 for "add-k"; the other two have none and ignore it.

    Raises:
        ValueError: no hypothesis, other than one list of references for each, an empty one, a string in place of a list or the reverse, an
            unknown tokenizer or smoothing, a value that is negative or not finite. Iterators are as good as lists.
    """
    require_smoothing(smoothing, smoothing_value)
    statistics = bleu_statistics(hypotheses, references, tokenize=tokenize)
    return bleu_from_statistics(statistics.sum(axis=0), smoothing=smoothing, smoothing_value=smoothing_value)


def bleu_statistics(
    hypotheses: Iterable[str], references: Iterable[Iterable[str]], *, tokenize: str = "13a"
) -> Int[np.ndarray, "sentences 10"]:
    """What BLEU needs to know of each sentence: c, r, the matches of order 1 … 4, the n-grams of order 1 … 4.

    Their sum over a corpus, or over a sample of its sentences, gives the score.

    Raises:
        ValueError: as `corpus_bleu`.
    """
    hypotheses, references = require_corpus(hypotheses, references)
    if tokenize not in TOKENIZERS:
        raise ValueError(f"tokenize is {tokenize!r}; expected one of {', '.join(TOKENIZERS)}")
    split = TOKENIZERS[tokenize]
    rows = []
    for hypothesis, texts in zip(hypotheses, references, strict=True):
        rows.append(sentence_statistics(split(hypothesis), [split(text) for text in texts]))
    return np.array(rows)


def sentence_statistics(words: Sequence[str], alternatives: Sequence[Sequence[str]]) -> list[int]:
    """A row of `bleu_statistics`: of the words of a translation and of its references."""
    matches, totals = [], []
    for n in range(1, MAX_ORDER + 1):
        counts = count_ngrams(words, n)
        highest = reduce(or_, [count_ngrams(alternative, n) for alternative in alternatives])  # each count's maximum
        clipped = counts & highest  # each count's minimum
        matches.append(clipped.total())
        totals.append(counts.total())
    lengths = [len(alternative) for alternative in alternatives]
    closest = min(lengths, key=lambda length: (abs(length - len(words)), length))
    return [len(words), closest, *matches, *totals]


def bleu_from_statistics(
    summed: Int[np.ndarray, "10"], *, smoothing: str = "exp", smoothing_value: float | None = None
) -> BLEU:
    """The score from the sum of `bleu_statistics` over sentences.

    Raises:
        ValueError: as `corpus_bleu`.
    """
    require_smoothing(smoothing, smoothing_value)
    if smoothing_value is None:
        smoothing_value = SMOOTHING_VALUES[smoothing]
    hypothesis_length, reference_length, *counts = summed.tolist()
    precisions = smoothed_precisions(counts[:MAX_ORDER], counts[MAX_ORDER:], smoothing, smoothing_value)
    penalty = brevity_penalty(hypothesis_length, reference_length)
    return BLEU(
        score=100 * penalty * geometric_mean(precisions),
        precisions=tuple(100 * p for p in precisions),
        brevity_penalty=penalty,
        hypothesis_length=hypothesis_length,
        reference_length=reference_length,
    )


def geometric_mean(numbers: Sequence[float]) -> float:
    """exp of the mean logarithm, 0 if one of the numbers is 0."""
    if not all(numbers):
        return 0.0
    return math.exp(sum(math.log(number) for number in numbers) / len(numbers))


def count_ngrams(symbols: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    """How often each run of n neighbors occurs: of words, or of the characters of a string."""
    shifted = [symbols[start:] for start in range(n)]
    return Counter(zip(*shifted, strict=False))


def smoothed_precisions(
    matches: Sequence[int], totals: Sequence[int], smoothing: str, value: float | None
) -> list[float]:
    """matchesₙ / totalsₙ, smoothed as `corpus_bleu` says; 0 where there is no n-gram, and everywhere if nothing matches."""
    if not any(matches):
        return [0.0] * len(totals)
    precisions, missed = [], 0
    for n, (match, total) in enumerate(zip(matches, totals, strict=True), start=1):
        added = value if smoothing == "add-k" and n > 1 else 0
        numerator, denominator = match + added, total + added
        if numerator == 0 and smoothing == "floor":
            numerator = value
        elif numerator == 0 and smoothing == "exp":
            missed += 1
            numerator = 0.5**missed
        precisions.append(numerator / denominator if denominator else 0.0)
    return precisions


def brevity_penalty(hypothesis_length: int, reference_length: int) -> float:
    """min(1, exp(1 − r/c)), which keeps a system from translating only what it is sure of; 0 if it says nothing."""
    if hypothesis_length >= reference_length:
        return 1.0
    if hypothesis_length == 0:
        return 0.0
    return math.exp(1 - reference_length / hypothesis_length)


def require_smoothing(smoothing: str, value: float | None) -> None:
    """Raises ValueError unless the smoothing is known and its value, where given, finite and not negative."""
    if smoothing not in SMOOTHING_VALUES:
        raise ValueError(f"smoothing is {smoothing!r}; expected one of {', '.join(SMOOTHING_VALUES)}")
    if value is not None and not 0 <= value < math.inf:
        raise ValueError(f"smoothing_value must be finite and not negative; got {value}")


def require_corpus(hypotheses: Iterable[str], references: Iterable[Iterable[str]]) -> tuple[list[str], list[list[str]]]:
    """Both as lists, of iterators too.

    Raises:
        ValueError: other than a string for each hypothesis, and for each its own list of at least one reference, a string too.
    """
    hypotheses, references = require_list("hypotheses", hypotheses), require_list("references", references)
    if len(hypotheses) != len(references) or not hypotheses:
        raise ValueError(
            f"{len(hypotheses)} hypotheses and {len(references)} lists of references; expected one list a hypothesis, at least one"
        )
    references = [require_list(f"references[{index}]", texts) for index, texts in enumerate(references)]
    for index, (hypothesis, texts) in enumerate(zip(hypotheses, references, strict=True)):
        if not isinstance(hypothesis, str):
            raise ValueError(f"hypotheses[{index}] must be a string; got {hypothesis!r}")
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"references[{index}] must be a list of at least one string; got {texts!r}")
    return hypotheses, references
