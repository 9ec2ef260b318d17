"""Intervals that keep their coverage, and words for those that have no bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vignette.evaluation.statistics import (
    mean_interval,
    paired_gain,
    ratio_of_means,
    share_closed,
    student_quantile,
)

SKEWED = [2.154, 2.131, 3.13, 1.065, 2.183, 1.704, 0.885, 1.119, 1.718, 0.847, 1.677, 3.958]


@pytest.mark.parametrize(
    ("p", "df", "expected"),
    [(0.975, 1, 12.7062), (0.975, 2, 4.30265), (0.975, 5, 2.57058), (0.975, 10, 2.22814), (0.995, 30, 2.75000)],
)
def test_students_quantiles_are_those_of_the_tables(p: float, df: int, expected: float) -> None:
    assert student_quantile(p, df) == pytest.approx(expected, abs=1e-3)


def test_the_mean_s_interval_is_bca() -> None:
    # scipy.stats.bootstrap(method="BCa", n_resamples=200_000) gives 1.466 and 2.502; percentiles give 1.419 and 2.387.
    interval = mean_interval(np.array(SKEWED))
    assert interval.estimate == pytest.approx(1.8809, abs=1e-4)
    assert interval.low == pytest.approx(1.466, abs=0.03)
    assert interval.high == pytest.approx(2.502, abs=0.03)
    assert mean_interval(np.array(SKEWED)) == interval


def test_seeds_of_one_prompt_are_one_unit() -> None:
    rng = np.random.default_rng(0)
    prompts = rng.normal(size=50)
    repeated = np.repeat(prompts[:, None], 8, axis=1)
    assert mean_interval(repeated) == mean_interval(prompts)
    assert mean_interval(repeated).units == 50


def test_what_was_not_measured_is_left_out() -> None:
    interval = mean_interval(np.array([[1.0, np.nan], [np.nan, np.nan], [0.0, 1.0]]))
    assert interval.units == 2
    assert interval.estimate == 0.75
    with pytest.raises(ValueError, match="no measured value"):
        mean_interval(np.array([np.nan]))


def test_pairing_removes_what_prompts_have_in_common() -> None:
    rng = np.random.default_rng(1)
    difficulty = rng.normal(scale=10, size=200)
    noise = rng.normal(scale=0.1, size=200)
    gain = paired_gain(difficulty + 0.5 + noise, difficulty)
    assert gain.excludes_zero
    assert gain.high - gain.low < 0.1
    with pytest.raises(ValueError, match="same shape"):
        paired_gain(np.zeros(3), np.zeros(4))


def test_a_clear_distance_gives_a_bounded_share() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(0.4, 0.05, 100)
    share = share_closed(base, base + 0.3 + rng.normal(0, 0.05, 100), base + 0.4 + rng.normal(0, 0.05, 100))
    assert share.kind == "bounded"
    assert share.low is not None
    assert share.high is not None
    assert share.low < 0.75 < share.high
    assert share.high - share.low < 0.1
    assert "confidence set" in share.in_words()


def test_a_distance_that_may_be_zero_gives_an_unbounded_set_and_says_so() -> None:
    rng = np.random.default_rng(3)
    nothing = ratio_of_means(rng.normal(0, 1, 50), rng.normal(0, 1, 50))
    assert nothing.kind == "everything"
    assert nothing.contains(-1e9)
    assert "no share is excluded" in nothing.in_words()
    gained = ratio_of_means(rng.normal(1, 0.5, 50), rng.normal(0, 1, 50))
    assert gained.kind == "exterior"
    assert not gained.contains(0)
    assert gained.contains(1e9)
    assert gained.contains(-1e9)
    assert "without a bounded interval" in gained.in_words()


@pytest.mark.parametrize("distance", [0.0, 0.1, 0.3, 1.0])
def test_fieller_s_set_covers_the_truth_whatever_the_denominator_is(distance: float) -> None:
    rng, runs = np.random.default_rng(4), 2000
    hits = 0
    for _ in range(runs):
        y = rng.normal(distance, 1, 40)
        hits += ratio_of_means(0.5 * y + rng.normal(0, 0.5, 40), y).contains(0.5)
    # What docs/evaluation.md says; three standard errors of a coverage of 0.95 over 2,000 runs are 0.015.
    assert hits / runs == pytest.approx(0.948, abs=0.001)


def test_degenerate_ratios() -> None:
    exact = ratio_of_means(np.full(5, 0.5), np.full(5, 2.0))
    assert (exact.kind, exact.low, exact.high) == ("bounded", pytest.approx(0.25), pytest.approx(0.25))
    assert ratio_of_means(np.zeros(5), np.zeros(5)).kind == "everything"
    infinite = ratio_of_means(np.ones(5), np.zeros(5))
    assert infinite.kind == "none"
    assert infinite.estimate is None
    assert "exactly zero" in infinite.in_words()
    with pytest.raises(ValueError, match="at least 2"):
        ratio_of_means(np.ones(1), np.ones(1))
    with pytest.raises(ValueError, match="one length"):
        ratio_of_means(np.ones(2), np.ones(3))


def test_at_the_border_the_set_is_a_half_line() -> None:
    # Mean 1 and variance chosen so that the denominator's own test is exactly undecided.
    n, t = 2, student_quantile(0.975, 1)
    spread = math.sqrt(n) / t
    y = np.array([1 - spread / math.sqrt(2), 1 + spread / math.sqrt(2)])
    border = ratio_of_means(np.array([2.0, 2.0]), y)
    assert border.kind == "bounded"
    assert math.isinf(border.high or 0)
    assert "without a bound" in border.in_words()
