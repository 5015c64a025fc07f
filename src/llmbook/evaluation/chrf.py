"""chrF: the F-score of character n-grams, and chrF++, which adds words.

Book: §4.1.1
"""

import math
import string
from collections import Counter
from collections.abc import Iterable, Sequence

from llmbook.checks import is_integer
from llmbook.evaluation.bleu import count_ngrams, require_corpus

Counts = list[tuple[int, int, int]]  # of each order: how many n-grams have hypothesis, reference, both


def corpus_chrf(
    hypotheses: Iterable[str],
    references: Iterable[Iterable[str]],
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
            a negative order, both orders 0, a β that is negative or not finite. Iterators are as good as lists.
    """
    hypotheses, references = require_corpus(hypotheses, references)
    require_orders(char_order, word_order, beta)
    sentences = []
    for hypothesis, texts in zip(hypotheses, references, strict=True):
        said = ngrams_by_order(hypothesis, char_order, word_order)
        candidates = [overlap(said, ngrams_by_order(text, char_order, word_order)) for text in texts]
        sentences.append(max(candidates, key=lambda counts: f_score(counts, beta)))
    return 100 * f_score(summed(sentences), beta)


def f_score(counts: Counts, beta: float) -> float:
    """(1 + β²) P R / (β² P + R) of the counts of each order (hypothesis, reference, both)."""
    precisions = [both / said for said, right, both in counts if said and right]
    recalls = [both / right for said, right, both in counts if said and right]
    if not any(precisions):
        return 0.0
    precision = sum(precisions) / len(precisions)
    recall = sum(recalls) / len(recalls)
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def ngrams_by_order(text: str, char_order: int, word_order: int) -> list[Counter]:
    """How often each n-gram occurs: of characters, n = 1 … char_order, then of words, n = 1 … word_order."""
    characters = "".join(text.split())
    words = split_words(text)
    by_character = [count_ngrams(characters, n) for n in range(1, char_order + 1)]
    by_word = [count_ngrams(words, n) for n in range(1, word_order + 1)]
    return by_character + by_word


def overlap(hypothesis: list[Counter], reference: list[Counter]) -> Counts:
    """The counts of each order. Where the reference has no n-gram, those of the hypothesis are not held against it."""
    counts = []
    for said, right in zip(hypothesis, reference, strict=True):
        both = said & right  # the smaller count of each n-gram
        counts.append((said.total() if right else 0, right.total(), both.total()))
    return counts


def summed(sentences: Sequence[Counts]) -> Counts:
    """The counts of each order, over all sentences."""
    counts = []
    for of_one_order in zip(*sentences, strict=True):
        said, right, both = zip(*of_one_order, strict=True)
        counts.append((sum(said), sum(right), sum(both)))
    return counts


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


def require_orders(char_order: int, word_order: int, beta: float) -> None:
    """Raises ValueError unless there is an order, none is negative, and β is finite and not negative."""
    orders = (char_order, word_order)
    if not all(map(is_integer, orders)) or min(orders) < 0 or max(orders) < 1:
        raise ValueError(
            f"char_order is {char_order}, word_order {word_order}; expected integers, both >= 0 and one of them >= 1"
        )
    if not 0 <= beta < math.inf:
        raise ValueError(f"beta must be finite and not negative; got {beta}")
