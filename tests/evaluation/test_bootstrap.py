"""The bootstrap: a mean whose interval is known, pairing, seeds, and BLEU from summed statistics."""

import numpy as np
import pytest

from llmbook.evaluation import Metric, bleu_metric, bootstrap_difference, bootstrap_score, corpus_bleu
from llmbook.evaluation.bootstrap import sampled_scores

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "saw", "dog", "in", "that", "park"]
# The mean length of the hypotheses: a metric without maths of its own.
MEAN_LENGTH = Metric(
    statistics=lambda hypotheses, references: np.array([[len(text), 1] for text in hypotheses]),
    score=lambda summed: summed[0] / summed[1],
)


def texts(lengths):
    return ["x" * length for length in lengths]


def corpus(seed, n=80, wrong=0.3):
    """References, and hypotheses in which a share of the words is another."""
    rng = np.random.default_rng(seed)
    references = [rng.choice(WORDS, size=rng.integers(4, 12)).tolist() for _ in range(n)]
    hypotheses = [
        " ".join(word if rng.random() > wrong else str(rng.choice(WORDS)) for word in words) for words in references
    ]
    return hypotheses, [[" ".join(words)] for words in references]


def test_the_interval_of_a_mean_is_the_central_limit_theorem_s():
    lengths = np.random.default_rng(0).integers(0, 100, size=400)
    found = bootstrap_score(texts(lengths), [["r"]] * 400, metric=MEAN_LENGTH, num_samples=4000, seed=0)
    error = lengths.std() / 20
    assert found.score == pytest.approx(lengths.mean())
    assert found.low == pytest.approx(lengths.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(lengths.mean() + 1.96 * error, abs=0.2 * error)


def test_pairing_cancels_what_both_systems_share():
    lengths = np.random.default_rng(0).integers(0, 100, size=200)
    references = [["r"]] * 200
    longer = bootstrap_difference(texts(lengths + 2), texts(lengths), references, metric=MEAN_LENGTH, seed=0)
    assert (longer.difference, longer.low, longer.high) == pytest.approx((2, 2, 2), abs=1e-9)
    one = bootstrap_score(texts(lengths), references, metric=MEAN_LENGTH, seed=0)
    assert one.high - one.low > 4


def test_the_difference_changes_its_sign_with_the_order():
    a, references = corpus(0, wrong=0.2)
    b, _ = corpus(0, wrong=0.5)
    options = {"metric": bleu_metric(), "num_samples": 200, "seed": 3}
    forth, back = bootstrap_difference(a, b, references, **options), bootstrap_difference(b, a, references, **options)
    assert forth.difference > 0
    assert (forth.difference, forth.low, forth.high) == pytest.approx((-back.difference, -back.high, -back.low))
    assert forth.low < forth.difference < forth.high
    same = bootstrap_difference(a, a, references, **options)
    assert (same.difference, same.low, same.high) == (0, 0, 0)


@pytest.mark.parametrize("tokenize", ["13a", "char"])
def test_the_score_is_corpus_bleu_s(tokenize):
    hypotheses, references = corpus(1)
    found = bootstrap_score(hypotheses, references, metric=bleu_metric(tokenize=tokenize), num_samples=20, seed=0)
    assert found.score == corpus_bleu(hypotheses, references, tokenize=tokenize).score


def test_a_sample_is_a_corpus_of_drawn_sentences():
    """With one sample both ends are its score: that of the sentences, repeated as often as they were drawn."""
    hypotheses, references = corpus(2, n=30)
    found = bootstrap_score(hypotheses, references, metric=bleu_metric(), num_samples=1, seed=5)
    times = np.random.default_rng(5).multinomial(30, np.full(30, 1 / 30))
    drawn = corpus_bleu(np.repeat(hypotheses, times).tolist(), np.repeat(references, times, axis=0).tolist())
    assert found.low == found.high == pytest.approx(drawn.score, abs=1e-9)


def test_statistics_in_half_precision_are_summed_in_double():
    half = Metric(lambda h, r: np.array([[len(text), 1] for text in h], dtype=np.float16), MEAN_LENGTH.score)
    lengths = np.random.default_rng(0).integers(
        0, 200, size=1000
    )  # float16 ends at 65,504, and at 2,048 counts in twos
    found, expected = (
        bootstrap_score(texts(lengths), [["r"]] * 1000, metric=metric, num_samples=20, seed=0)
        for metric in (half, MEAN_LENGTH)
    )
    assert found == expected


def test_a_seed_decides_the_draws():
    hypotheses, references = corpus(3)
    found = [
        bootstrap_score(hypotheses, references, metric=bleu_metric(), num_samples=50, seed=seed) for seed in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]


@pytest.mark.messages
def test_mistakes_are_named():
    options = {"metric": bleu_metric(), "seed": 0}
    with pytest.raises(ValueError, match="system a has 2 hypotheses, b 1; expected as many"):
        bootstrap_difference(["a", "b"], ["a"], [["a"], ["b"]], **options)
    with pytest.raises(ValueError, match="1 hypotheses and 2 lists of references"):
        bootstrap_difference(["a"], ["a"], [["a"], ["b"]], **options)
    with pytest.raises(ValueError, match="num_samples is 0; expected at least 1"):
        bootstrap_score(["a"], [["a"]], num_samples=0, **options)
    with pytest.raises(ValueError, match="tokenize is 'intl'"):
        bootstrap_score(["a"], [["a"]], metric=bleu_metric(tokenize="intl"), seed=0)


def test_documents_are_drawn_whole():
    """With a document a sentence it is the bootstrap over sentences; two equal halves of one document are never apart."""
    generator = np.random.default_rng(0)
    words = [[f"w{word}" for word in generator.integers(20, size=8)] for _ in range(40)]
    right = [[" ".join(row)] for row in words]
    ours = [" ".join(row[:6] if index % 2 else row) for index, row in enumerate(words)]
    theirs = [" ".join(reversed(row)) for row in words]
    settings = {"metric": bleu_metric(), "seed": 1, "num_samples": 200}
    alone = bootstrap_difference(ours, theirs, right, **settings)
    assert bootstrap_difference(ours, theirs, right, documents=range(40), **settings) == alone
    paired = bootstrap_difference(ours, theirs, right, documents=[index // 20 for index in range(40)], **settings)
    assert paired.difference == alone.difference
    two = {
        round(bootstrap_score(ours[part], right[part], **settings).score, 9) for part in (slice(20), slice(20, 40))
    } | {round(bootstrap_score(ours, right, **settings).score, 9)}
    drawn = sampled_scores(ours, right, bleu_metric(), 50, 1, [index // 20 for index in range(40)])
    assert {round(score, 9) for score in drawn} <= two
    doubled = bootstrap_score(ours * 2, right * 2, documents=[*range(40), *range(40)], **settings)
    once = bootstrap_score(ours, right, **settings)
    assert (doubled.low, doubled.high) == pytest.approx((once.low, once.high))
    one = bootstrap_score(ours, right, documents=["a"] * 40, **settings)
    assert one.low == one.high == one.score


@pytest.mark.messages
def test_documents_for_other_sentences_are_refused():
    with pytest.raises(ValueError, match="documents names 1, for 2 sentences"):
        bootstrap_score(["a", "b"], [["a"], ["b"]], metric=bleu_metric(), seed=0, documents=["x"])
