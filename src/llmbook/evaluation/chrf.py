"""chrF: the F-score of character n-grams, and chrF++, which adds words.

Book: §4.1.1
"""

import math
import string
from collections import Counter
from collections.abc import Sequence

from llmbook.evaluation.bleu import check_corpus, count_ngrams

Counts = list[tuple[int, int, int]]  # an order a row: n-grams of the hypothesis, of the reference, of both


def corpus_chrf(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    char_order: int = 6,
    word_order: int = 0,
    beta: float = 2,
) -> float:
    """chrF = 100 · (1 + β²) P R / (β² P + R), with P and R the means of precision and recall over the orders n.

    Popović 2015, section 2: CHRP and CHRR are our P and R, taken over character n-grams, n = 1 … `char_order`, white space dropped; β = 2
    weighs recall twice as much. `word_order=2` is chrF++ (Popović 2017), which adds the 1-grams and 2-grams of words. The counts are summed
    over the corpus before they are divided; of several references, the one with the highest chrF for its sentence counts. An order
    that hypotheses or references are too short for is left out of the means, as sacrebleu does.

    Leaves out: lower case, white space as a character, smoothing by a small ε.

    Args:
        hypotheses: one text a sentence.
        references: one list of texts a hypothesis, as many as there are.

    Returns:
        The score, 0 to 100; 0 if nothing matches.

    Raises:
        ValueError: no hypothesis, other than one list of references for each, an empty one, a string in place of a list or the reverse,
            a negative order, both orders 0, a β that is negative or not finite.
    """
    check_corpus(hypotheses, references)
    if min(char_order, word_order) < 0 or max(char_order, word_order) < 1:
        raise ValueError(
            f"char_order is {char_order}, word_order {word_order}; expected both >= 0 and one of them >= 1"
        )
    if not 0 <= beta < math.inf:
        raise ValueError(f"beta must be finite and not negative; got {beta}")

    rows = []
    for hypothesis, texts in zip(hypotheses, references, strict=True):
        counters = _ngrams(hypothesis, char_order, word_order)
        candidates = [_overlap(counters, _ngrams(text, char_order, word_order)) for text in texts]
        rows.append(max(candidates, key=lambda counts: f_score(counts, beta)))
    summed = [tuple(map(sum, zip(*order, strict=True))) for order in zip(*rows, strict=True)]
    return 100 * f_score(summed, beta)


def f_score(counts: Counts, beta: float) -> float:
    """(1 + β²) P R / (β² P + R) of the counts of each order (hypothesis, reference, both)."""
    possible = [(h, r, both) for h, r, both in counts if h and r]
    if not any(both for _, _, both in possible):
        return 0.0
    precision = sum(both / h for h, _, both in possible) / len(possible)
    recall = sum(both / r for _, r, both in possible) / len(possible)
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def split_words(text: str) -> list[str]:
    """Words, with one ASCII punctuation mark cut off at their end, or if there is none, at their start: (hi) becomes (hi and )."""
    words = []
    for word in text.split():
        if len(word) > 1 and word[-1] in string.punctuation:
            words += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in string.punctuation:
            words += [word[0], word[1:]]
        else:
            words.append(word)
    return words


def _ngrams(text: str, char_order: int, word_order: int) -> list[Counter]:
    characters, words = "".join(text.split()), split_words(text)
    by_character = [count_ngrams(characters, n) for n in range(1, char_order + 1)]
    return by_character + [count_ngrams(words, n) for n in range(1, word_order + 1)]


def _overlap(hypothesis: list[Counter], reference: list[Counter]) -> Counts:
    """Where the reference has no n-gram, those of the hypothesis are not held against it."""
    return [(h.total() if r else 0, r.total(), (h & r).total()) for h, r in zip(hypothesis, reference, strict=True)]
