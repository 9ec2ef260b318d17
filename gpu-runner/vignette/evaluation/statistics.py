"""Intervals for paired comparisons. The unit is the prompt: several seeds of one prompt are averaged before anything else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

LEVEL = 0.95
RESAMPLES = 10_000
_NORMAL = NormalDist()
_CHUNK = 2_000_000  # indices drawn at once, 16 MB


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval at `level`, over `units` prompts."""

    estimate: float
    low: float
    high: float
    units: int
    level: float = LEVEL

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class RatioSet:
    """
    A confidence set of a ratio of two means.

    Attributes:
        estimate: The ratio of the sample means; None where the denominator's mean is 0.
        kind: `bounded`: [low, high]. `exterior`: everything but the open interval between `low` and `high`, because
            the denominator is not told apart from 0. `everything`: any ratio agrees with the data. `none`: no ratio
            does, since the denominator is exactly 0 and the numerator is not.
        low, high: The set's finite ends, `-inf` or `inf` where a bounded set is a half-line, None where it has none.
    """

    estimate: float | None
    kind: Literal["bounded", "exterior", "everything", "none"]
    low: float | None
    high: float | None
    level: float = LEVEL

    def contains(self, ratio: float) -> bool:
        """Whether `ratio` agrees with the data at `level`."""
        if self.low is None or self.high is None:
            return self.kind == "everything"
        inside = self.low <= ratio <= self.high
        return inside if self.kind == "bounded" else not self.low < ratio < self.high

    def in_words(self) -> str:
        """The set as a reader needs it, in percent, unbounded sets called so."""
        share = "undefined" if self.estimate is None else _percent(self.estimate)
        level = _percent(self.level)
        if self.kind == "bounded" and math.isfinite(self.low or 0) and math.isfinite(self.high or 0):
            return f"{share} ({level} confidence set {_percent(self.low)} to {_percent(self.high)})"
        if self.kind == "bounded":
            side = f"{_percent(self.low)} or more" if math.isinf(self.high or 0) else f"{_percent(self.high)} or less"
            return f"{share} ({level} confidence set {side}, without a bound on the other side)"
        if self.kind == "exterior":
            return (
                f"{share}, without a bounded interval: at {level} the distance is not told apart from zero, and the data"
                f" only exclude shares between {_percent(self.low)} and {_percent(self.high)}"
            )
        if self.kind == "everything":
            return f"{share}, without any interval: at {level} the distance is not told apart from zero, and no share is excluded"
        return "undefined: the distance is exactly zero"


def per_prompt(values: np.ndarray) -> np.ndarray:
    """`[N]` or `[N, S]` (prompts, seeds; NaN where nothing was measured) to the prompts' means, `[N]`, NaN left in."""
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 1:
        return values
    counted = np.isfinite(values)
    total = np.where(counted, values, 0.0).sum(1)
    return np.where(counted.any(1), total / np.maximum(counted.sum(1), 1), np.nan)


def mean_interval(values: np.ndarray, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """
    The mean of `values` with its BCa bootstrap interval (bias-corrected and accelerated; Efron 1987,
    https://doi.org/10.1080/01621459.1987.10478410).

    Args:
        values: `[N]` or `[N, S]`, see [`per_prompt`]. Prompts without a measurement are left out.
        level: Coverage aimed at, in (0, 1).

    Raises:
        ValueError: Nothing measured.
    """
    units = per_prompt(values)
    units = units[np.isfinite(units)]
    n = len(units)
    if n == 0:
        raise ValueError("There is no measured value to take a mean of.")
    mean = float(units.mean())
    if n == 1 or np.ptp(units) == 0:
        return Interval(mean, mean, mean, n, level)
    means = _resampled_means(units, resamples, seed)
    # Ties count half: with marks of 0 and 1 many resamples meet the mean exactly.
    below = float((means < mean).mean() + (np.isclose(means, mean, rtol=0, atol=1e-12)).mean() / 2)
    bias = _NORMAL.inv_cdf(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples))
    away = units - mean
    acceleration = float((away**3).sum() / (6 * (away**2).sum() ** 1.5))
    ends = []
    for z in (_NORMAL.inv_cdf((1 - level) / 2), _NORMAL.inv_cdf((1 + level) / 2)):
        shifted = bias + (bias + z) / (1 - acceleration * (bias + z))
        ends.append(float(np.quantile(means, _NORMAL.cdf(shifted))))
    return Interval(mean, ends[0], ends[1], n, level)


def paired_gain(
    a: np.ndarray, b: np.ndarray, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The mean of `a - b`, paired by prompt and seed, with its BCa interval. Shapes as in [`mean_interval`], equal."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"Paired values need the same shape; these have {a.shape} and {b.shape}.")
    return mean_interval(a - b, level=level, resamples=resamples, seed=seed)


def share_closed(base: np.ndarray, adapted: np.ndarray, ceiling: np.ndarray, *, level: float = LEVEL) -> RatioSet:
    """
    How much of the distance from `base` to `ceiling` is closed by `adapted`: mean(adapted - base) / mean(ceiling -
    base), paired by prompt and seed, with Fieller's confidence set.

    Args:
        base, adapted, ceiling: `[N]` or `[N, S]`, equal shapes. Prompts that lack one of the three are left out.
    """
    b, a, c = (per_prompt(x) for x in (base, adapted, ceiling))
    if not len(b) == len(a) == len(c):
        raise ValueError(f"Paired values need the same length; these have {len(b)}, {len(a)} and {len(c)}.")
    measured = np.isfinite(b) & np.isfinite(a) & np.isfinite(c)
    return ratio_of_means((a - b)[measured], (c - b)[measured], level=level)


def ratio_of_means(numerator: np.ndarray, denominator: np.ndarray, *, level: float = LEVEL) -> RatioSet:
    """
    Fieller's confidence set (Fieller 1954, https://doi.org/10.1111/j.2517-6161.1954.tb00159.x) of
    mean(numerator) / mean(denominator) for pairs.

    It holds every ratio r for which mean(numerator - r * denominator) does not differ from 0 in a t test. Unlike the
    bootstrap of a quotient or the delta method it keeps its coverage when the denominator may be 0: then it is
    unbounded, which no interval with two finite ends can be and still be right (Gleser and Hwang 1987,
    https://doi.org/10.1214/aos/1176350597).

    Args:
        numerator, denominator: `[N]`, one pair per prompt, N at least 2.
    """
    x, y = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"A ratio needs two lists of one length; these have shapes {x.shape} and {y.shape}.")
    n = len(x)
    if n < 2:
        raise ValueError(f"A ratio's confidence set needs at least 2 prompts, not {n}.")
    mx, my = float(x.mean()), float(y.mean())
    (vxx, vxy), (_, vyy) = (np.cov(x, y) / n).tolist()
    t2 = student_quantile((1 + level) / 2, n - 1) ** 2
    # (mx - r my)^2 <= t^2 (vxx - 2 r vxy + r^2 vyy), that is a r^2 - 2 b r + c <= 0.
    a, b, c = my**2 - t2 * vyy, mx * my - t2 * vxy, mx**2 - t2 * vxx
    estimate = mx / my if my else None
    if abs(a) <= 1e-12 * (my**2 + t2 * vyy):
        return _linear(estimate, b, c, level)
    root = b**2 - a * c
    if a > 0:
        half = math.sqrt(max(root, 0.0)) / a
        return RatioSet(estimate, "bounded", b / a - half, b / a + half, level)
    if root <= 0:
        return RatioSet(estimate, "everything", None, None, level)
    half = math.sqrt(root) / -a
    return RatioSet(estimate, "exterior", b / a - half, b / a + half, level)


def student_quantile(p: float, df: int) -> float:
    """Quantile of Student's t: exact for 1 and 2 degrees of freedom, else Abramowitz and Stegun 26.7.5 (error below 0.01 at 0.975)."""
    if df < 1 or not 0 < p < 1:
        raise ValueError(f"Student's t has no quantile {p} with {df} degrees of freedom.")
    if df == 1:
        return math.tan(math.pi * (p - 0.5))
    if df == 2:
        return (2 * p - 1) / math.sqrt(2 * p * (1 - p))
    z = _NORMAL.inv_cdf(p)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    return z + sum(term / df ** (i + 1) for i, term in enumerate(terms))


def _linear(estimate: float | None, b: float, c: float, level: float) -> RatioSet:
    """The set -2 b r + c <= 0, at the border between bounded and unbounded."""
    if b == 0:
        return RatioSet(estimate, "everything" if c <= 0 else "none", None, None, level)
    end = c / (2 * b)
    return RatioSet(estimate, "bounded", *((end, math.inf) if b > 0 else (-math.inf, end)), level)


def _resampled_means(units: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    rng, rows = np.random.default_rng(seed), max(1, _CHUNK // len(units))
    means = [
        units[rng.integers(0, len(units), (min(rows, resamples - start), len(units)))].mean(1)
        for start in range(0, resamples, rows)
    ]
    return np.concatenate(means)


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{round(100 * value) + 0} %"
