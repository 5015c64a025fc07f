"""A measured result over several seeds: the interval in which its mean lies, and how a sentence, a table or a program writes it.

Book: §1.1.2
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CLAIM_TYPE = "application/vnd.llmbook.claim+json"  # under which a notebook's output carries a claim
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LARGE = {"zh": ((1e8, " 亿"), (1e4, " 万")), "en": ((1e9, " billion"), (1e6, " million"))}  # words for large numbers
Form = Literal["interval", "mean"]


@dataclass(frozen=True)
class Result:
    """Values of one quantity, one per seed; their mean and Student's interval, or no interval where there is one value."""

    values: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None
    unit: str = ""

    @property
    def n(self) -> int:
        return len(self.values)

    @classmethod
    def of(cls, values: Sequence[float], *, unit: str = "", confidence: float = 0.95) -> "Result":
        """mean ± t · s / √n, with s² = Σ (x − mean)² / (n − 1) and t the quantile of Student's distribution (Student 1908).

        For two methods that share seeds, pass the differences seed by seed: the interval is then that of the paired test. Of shares (values
        from 0 to 100 with the unit "%") the interval ends where shares do.

        Raises:
            ValueError: no value.
        """
        numbers = tuple(float(value) for value in values)
        if not numbers:
            raise ValueError("a result needs at least one value; got none")
        n, mean = len(numbers), statistics.fmean(numbers)
        if n == 1:
            return cls(numbers, mean, None, None, unit)
        variance = sum((value - mean) ** 2 for value in numbers) / (n - 1)
        half = student_t_quantile((1 + confidence) / 2, n - 1) * math.sqrt(variance / n)
        shares = unit == "%" and all(0 <= value <= 100 for value in numbers)
        low, high = (max(0.0, mean - half), min(100.0, mean + half)) if shares else (mean - half, mean + half)
        return cls(numbers, mean, low, high, unit)


def student_t_quantile(p: float, degrees: int) -> float:
    """The t with P(T ≤ t) = p, by bisection on the angle θ = arctan(t / √ν).

    Raises:
        ValueError: p outside [0.5, 1) or less than one degree of freedom.
    """
    if not 0.5 <= p < 1 or degrees < 1:
        raise ValueError(f"expected 0.5 <= p < 1 and at least 1 degree of freedom; got p = {p}, degrees = {degrees}")
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        angle = (low + high) / 2
        if central_probability(angle, degrees) < 2 * p - 1:
            low = angle
        else:
            high = angle
    return math.sqrt(degrees) * math.tan(angle)


def central_probability(angle: float, degrees: int) -> float:
    """P(|T| ≤ √ν tan θ) for Student's T with ν degrees of freedom.

    A finite sum in c = cos θ, s = sin θ (Abramowitz and Stegun 1964, equations 26.7.3 and 26.7.4):
    for even ν, s · (1 + 1/2 c² + 1·3/(2·4) c⁴ + … to c^(ν−2));
    for odd ν, 2/π · (θ + s · (c + 2/3 c³ + 2·4/(3·5) c⁵ + … to c^(ν−2))).
    """
    cos, sin = math.cos(angle), math.sin(angle)
    odd = degrees % 2
    term, total = (cos if odd else 1.0), 0.0
    for k in range(1 + odd, degrees, 2):
        total += term
        term *= k / (k + 1) * cos**2
    return 2 / math.pi * (angle + sin * total) if odd else sin * total


def written(result: Result, *, digits: int | None = None, form: Form = "interval", lang: str | None = None) -> str:
    """A result as it is written: with its interval, "94.3% (93.1–95.5)", or the mean alone, "94.3%".

    Without `digits` it gets those that it deserves: two of the interval's half width, else a tenth of a percent or three significant. Where
    all seeds gave the same value there is no interval to show.

    Args:
        digits: significant digits of the mean; the ends of the interval get as many decimals.
        lang: "zh" or "en": as a sentence of that language says it; a mean rounded by `digits` then becomes "1.44 million" or "144 万", and
            "×" becomes "倍". None: as a program prints it.
    """
    scale, word = _scale(result.mean, digits, lang)
    mean, low, high = (None if x is None else x / scale for x in (result.mean, result.low, result.high))
    assert mean is not None
    interval = low is not None and high is not None and low != high
    if digits is not None:
        decimals = _decimals(mean, significant=digits)
        mean = round(mean, digits - 1 - math.floor(math.log10(abs(mean)))) if mean and math.isfinite(mean) else mean
    elif not interval:
        decimals = 1 if result.unit == "%" and abs(mean) >= 0.05 else _decimals(mean, significant=3)
    else:
        half = (high - low) / 2  # type: ignore[operator]
        decimals = _decimals(half, significant=2) if half > 0 else 0 if mean.is_integer() else 3
    exact = digits is None and not interval
    text = _with_unit(_number(mean, decimals, exact=exact) + word, result.unit, lang)
    if form == "mean" or low is None or high is None or low == high:
        return text
    ends = [_number(end, decimals, exact=False) for end in (low, high)]
    return f"{text} ({('–' if low >= 0 else ' … ').join(ends)}{word})"


def _scale(mean: float, digits: int | None, lang: str | None) -> tuple[float, str]:
    """The power of ten that a rounded large number is told in, and its word."""
    if digits is None or lang is None:
        return 1.0, ""
    return next(((power, word) for power, word in LARGE[lang] if abs(mean) >= power), (1.0, ""))


def _decimals(value: float, *, significant: int) -> int:
    if value == 0 or not math.isfinite(value):
        return 0
    return max(0, significant - 1 - math.floor(math.log10(abs(value))))


def _number(value: float, decimals: int, *, exact: bool) -> str:
    if value.is_integer() and (decimals == 0 or exact):
        return f"{value:,.0f}".replace("-", "−")
    if 0 < abs(value) < 1e-4:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}".replace("-", "−")
    return f"{value:,.{decimals}f}".replace("-", "−")


def _with_unit(number: str, unit: str, lang: str | None) -> str:
    if unit == "×" and lang == "zh":
        return f"{number} 倍"
    if unit == "×" and lang == "en" and " × " in number:  # one × is enough
        return f"{number} times"
    return f"{number}{unit}" if unit in ("", "%", "×") else f"{number} {unit}"
