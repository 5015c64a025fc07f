"""How a result is written; Student's interval against published tables, a worked example, and its own meaning."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmbook.results import Result, central_probability, student_t_quantile, written


@pytest.mark.parametrize(
    ("p", "degrees", "expected"),
    [
        # R: qt(p, df), ten digits
        (0.975, 1, 12.70620474),
        (0.975, 2, 4.302652730),
        (0.975, 3, 3.182446305),
        (0.975, 4, 2.776445105),
        (0.975, 5, 2.570581836),
        (0.975, 9, 2.262157163),
        (0.975, 10, 2.228138852),
        (0.975, 29, 2.045229642),
        (0.975, 30, 2.042272456),
        (0.95, 4, 2.131846786),
        (0.995, 4, 4.604094871),
        (0.75, 1, 1.0),
        (0.5, 7, 0.0),
    ],
)
def test_quantiles_of_students_distribution(p, degrees, expected):
    assert student_t_quantile(p, degrees) == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_many_degrees_tend_to_the_normal_distribution():
    assert student_t_quantile(0.975, 100_000) == pytest.approx(1.959963985, abs=3e-5)


@given(st.floats(0.5, 0.9999), st.integers(1, 40))
def test_the_quantile_inverts_the_probability(p, degrees):
    angle = math.atan(student_t_quantile(p, degrees) / math.sqrt(degrees))
    assert central_probability(angle, degrees) == pytest.approx(2 * p - 1, abs=1e-9)


def test_one_and_two_degrees_have_closed_forms():
    for t in (0.1, 1.0, 5.0):
        assert central_probability(math.atan(t), 1) == pytest.approx(2 / math.pi * math.atan(t))
        assert central_probability(math.atan(t / math.sqrt(2)), 2) == pytest.approx(t / math.sqrt(2 + t * t))


def test_the_interval_of_a_share_ends_where_shares_do():
    nearly_all, hardly_any = Result.of([100, 100, 94.7], unit="%"), Result.of([0.0, 0.1, 9.0], unit="%")
    assert (nearly_all.high, hardly_any.low) == (100.0, 0.0)
    assert nearly_all.low == pytest.approx(90.6, abs=0.05)
    assert Result.of([100, 100, 94.7]).high > 105, "a number without the unit is no share"
    assert Result.of([99.0, 101.0], unit="%").high > 101, "nor is a percentage beyond 100"


def test_a_worked_example():
    result = Result.of([1, 2, 3, 4, 5], unit="%")
    half = 2.776445105 * math.sqrt(2.5 / 5)
    assert (result.values, result.n, result.mean, result.unit) == ((1.0, 2.0, 3.0, 4.0, 5.0), 5, 3.0, "%")
    assert result.low == pytest.approx(3 - half, abs=1e-8)
    assert result.high == pytest.approx(3 + half, abs=1e-8)


def test_one_value_has_no_interval_and_equal_values_one_of_no_width():
    single = Result.of([2.5])
    assert (single.n, single.mean, single.low, single.high) == (1, 2.5, None, None)
    same = Result.of([2.5, 2.5, 2.5])
    assert (same.low, same.mean, same.high) == (2.5, 2.5, 2.5)


def test_the_interval_holds_the_truth_95_times_in_100():
    samples = torch.randn(2000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    held = [result.low <= 0 <= result.high for result in map(Result.of, samples.tolist())]
    assert sum(held) / len(held) == pytest.approx(0.95, abs=0.015)  # three standard errors


@pytest.mark.messages
def test_mistakes_are_named():
    with pytest.raises(ValueError, match="at least one value"):
        Result.of([])
    with pytest.raises(ValueError, match=r"p = 1.*degrees = 3"):
        student_t_quantile(1.0, 3)
    with pytest.raises(ValueError, match="degrees = 0"):
        student_t_quantile(0.9, 0)


@pytest.mark.parametrize(
    ("values", "unit", "text"),
    [
        ([94.28571], "%", "94.3%"),
        ([0.09965], "%", "0.1%"),
        ([0.00312], "%", "0.00312%"),
        ([63_082_496], "", "63,082,496"),
        ([0.0123456], "", "0.0123"),
        ([0.98765], "", "0.988"),
        ([1234.5], "", "1,234"),
        ([-2.5], "", "−2.50"),
        ([3.2e-7], "", "3.2 × 10⁻⁷"),
        ([93.0, 94.0, 95.0], "%", "94.0% (91.5–96.5)"),
        ([2.0, 2.0], "", "2"),
        ([12.0], "BLEU", "12 BLEU"),
    ],
)
def test_the_text_has_the_digits_that_the_value_deserves(values: list[float], unit: str, text: str):
    assert written(Result.of(values, unit=unit)) == text


@pytest.mark.parametrize(
    ("values", "unit", "digits", "zh", "en"),
    [
        ([1_438_884], "", 3, "144 万", "1.44 million"),
        ([1_440_000, 1_438_000], "", 3, "144 万 (143–145 万)", "1.44 million (1.43–1.45 million)"),
        ([639_812], "", 2, "64 万", "640,000"),
        ([9_612], "", 2, "9,600", "9,600"),
        ([212_345_678], "", 2, "2.1 亿", "210 million"),
        ([16.5827], "", 3, "16.6", "16.6"),
        ([1.776, 1.784], "×", 2, "1.8 倍 (1.7–1.8)", "1.8× (1.7–1.8)"),
        ([1.7e-5], "×", 2, "1.7 × 10⁻⁵ 倍", "1.7 × 10⁻⁵ times"),
        ([94.28571], "%", 2, "94%", "94%"),
        ([0.0], "", 2, "0", "0"),
        ([-0.0512], "", 1, "−0.05", "−0.05"),
    ],
)
def test_a_sentence_rounds_as_told_in_the_words_of_its_language(values, unit, digits, zh, en):
    result = Result.of(values, unit=unit)
    assert written(result, digits=digits, lang="zh") == zh
    assert written(result, digits=digits, lang="en") == en


def test_the_mean_alone_has_the_digits_that_its_interval_deserves():
    result = Result.of([93.0, 94.0, 95.0], unit="%")
    assert written(result, form="mean") == "94.0%"
    assert written(result, form="mean", digits=2) == "94%"
    assert written(Result.of([2.0, 3.0], unit="×"), form="mean", lang="zh") == "2.5 倍"


@given(st.floats(1e-3, 1e9), st.integers(1, 6))
def test_what_is_written_in_words_is_the_value_to_that_many_digits(value, digits):
    for lang, words in (("zh", {" 亿": 1e8, " 万": 1e4}), ("en", {" billion": 1e9, " million": 1e6})):
        text = written(Result.of([value]), digits=digits, lang=lang)
        number, scale = text, 1.0
        for word, power in words.items():
            if text.endswith(word):
                number, scale = text.removesuffix(word), power
        assert float(number.replace(",", "")) * scale == pytest.approx(value, rel=0.5001 * 10 ** (1 - digits))
