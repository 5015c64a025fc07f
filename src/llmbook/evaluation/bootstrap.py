"""How sure a score of a test set is: the bootstrap over its sentences, or over the documents that they are from.

Book: §4.1.1
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Shaped

from llmbook.checks import require_at_least, require_list, require_positive
from llmbook.evaluation.bleu import bleu_from_statistics, bleu_statistics, require_corpus

CONFIDENCE = 95  # percent


@dataclass(frozen=True)
class Metric:
    """A score of a corpus that follows from the sum of its sentences' statistics.

    `statistics(hypotheses, references)` gives an array with a row for each sentence, `score(summed rows)` a number.
    """

    statistics: Callable[[Sequence[str], Sequence[Sequence[str]]], Shaped[np.ndarray, "sentences numbers"]]
    score: Callable[[Shaped[np.ndarray, "numbers"]], float]


@dataclass(frozen=True)
class Bootstrap:
    """Score of a minus score of b on the whole test set, and the ends of its 95 % interval."""

    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class BootstrapScore:
    """A score on the whole test set, and the ends of its 95 % interval."""

    score: float
    low: float
    high: float


def bleu_metric(*, tokenize: str = "13a", smoothing: str = "exp") -> Metric:
    """BLEU as `corpus_bleu` has it."""
    return Metric(
        statistics=partial(bleu_statistics, tokenize=tokenize),
        score=lambda summed: bleu_from_statistics(summed, smoothing=smoothing).score,
    )


def bootstrap_difference(
    hypotheses_a: Iterable[str],
    hypotheses_b: Iterable[str],
    references: Iterable[Iterable[str]],
    *,
    metric: Metric,
    num_samples: int = 1000,
    seed: int,
    documents: Iterable[Hashable] | None = None,
) -> Bootstrap:
    """The paired bootstrap: how far the difference of two systems would vary over test sets like this one.

    A sample draws n of the n sentences with replacement, the same for both systems, so that what makes a sentence easy for both cancels.
    The interval runs from the 2.5th to the 97.5th percentile of the samples' differences (Koehn 2004, "Statistical Significance
    Tests for Machine Translation Evaluation", sections 3 and 4). If it does not hold 0, the systems differ at the level of 5 %.

    Sentences of one document resemble each other, and an interval that draws them one by one is too narrow: with `documents`, whole
    documents are drawn, as many as there are.

    Leaves out: approximate randomization, correction of the percentiles' bias, variation between training runs.

    Args:
        references: one list of texts a sentence.
        metric: `bleu_metric()`, or any that sums over sentences.
        seed: of the draws; the same seed draws the same sentences.
        documents: for each sentence, the document that it is from.

    Raises:
        ValueError: other than one hypothesis of each system for a sentence, as `corpus_bleu` of hypotheses and references, num_samples
            below 1, a negative seed, documents for more or fewer sentences, what the metric refuses.
    """
    hypotheses_a, hypotheses_b = require_list("hypotheses_a", hypotheses_a), require_list("hypotheses_b", hypotheses_b)
    references = [require_list(f"references[{n}]", row) for n, row in enumerate(require_list("references", references))]
    if len(hypotheses_a) != len(hypotheses_b):
        raise ValueError(f"system a has {len(hypotheses_a)} hypotheses, b {len(hypotheses_b)}; expected as many")
    documents = None if documents is None else list(documents)
    samples_a = sampled_scores(hypotheses_a, references, metric, num_samples, seed, documents)
    samples_b = sampled_scores(hypotheses_b, references, metric, num_samples, seed, documents)
    return Bootstrap(*with_interval(samples_a - samples_b))


def bootstrap_score(
    hypotheses: Iterable[str],
    references: Iterable[Iterable[str]],
    *,
    metric: Metric,
    num_samples: int = 1000,
    seed: int,
    documents: Iterable[Hashable] | None = None,
) -> BootstrapScore:
    """The interval of one system's score, by the same draws as `bootstrap_difference`.

    Two such intervals may overlap although the difference is sure: the sentences that are hard for one are hard for the other.

    Raises:
        ValueError: as `bootstrap_difference`.
    """
    return BootstrapScore(*with_interval(sampled_scores(hypotheses, references, metric, num_samples, seed, documents)))


def sampled_scores(
    hypotheses: Iterable[str],
    references: Iterable[Iterable[str]],
    metric: Metric,
    num_samples: int,
    seed: int,
    documents: Iterable[Hashable] | None,
) -> Float[np.ndarray, "scores"]:
    """The score of the whole test set, then those of the samples."""
    require_positive(num_samples=num_samples)
    require_at_least(0, seed=seed)
    hypotheses, references = require_corpus(hypotheses, references)
    statistics = metric.statistics(hypotheses, references)
    if np.issubdtype(statistics.dtype, np.floating):
        statistics = statistics.astype(np.float64)  # half precision would lose or overflow a sum
    if documents is not None:
        statistics = by_document(statistics, list(documents))
    n, rng = len(statistics), np.random.default_rng(seed)
    draws = (rng.multinomial(n, np.full(n, 1 / n)) for _ in range(num_samples))  # how often each is drawn
    scores = [metric.score(times @ statistics) for times in draws]
    return np.array([metric.score(statistics.sum(axis=0)), *scores], dtype=float)


def by_document(
    statistics: Shaped[np.ndarray, "sentences numbers"], documents: list[Hashable]
) -> Shaped[np.ndarray, "documents numbers"]:
    """The sums of the rows of each document."""
    if len(documents) != len(statistics):
        raise ValueError(f"documents names {len(documents)}, for {len(statistics)} sentences; expected one for each")
    rows = {document: row for row, document in enumerate(dict.fromkeys(documents))}
    summed = np.zeros((len(rows), statistics.shape[1]), dtype=statistics.dtype)
    np.add.at(summed, [rows[document] for document in documents], statistics)
    return summed


def with_interval(scores: Float[np.ndarray, "scores"]) -> tuple[float, float, float]:
    """The first number, and the percentiles of the others between which 95 % of them lie."""
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(scores[1:], [tail, 100 - tail])
    return float(scores[0]), float(low), float(high)
