"""From figures per picture to what a reader wants to know: means, gains over the baseline, the share of the distance closed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from vignette.evaluation.kid import kid, kid_gain
from vignette.evaluation.scores import Table
from vignette.evaluation.statistics import Interval, mean_interval, paired_gain, share_closed
from vignette.evaluation.variants import Variant


def summarise(
    variants: Sequence[Variant], table: Table, baseline: Variant | None, ceiling: Variant | None
) -> dict[str, Any]:
    """
    Per metric: each variant's mean, its gain over `baseline`, and for judged metrics and CLIPScore the share of the
    distance from `baseline` to `ceiling` that it closes. All intervals are over prompts, paired by prompt and seed.
    """
    names = [v.name for v in variants]
    figures: dict[str, Any] = {}
    for metric in table.metrics:
        values = dict(zip(names, table.values[metric.name], strict=True))
        entry: dict[str, Any] = {
            "title": metric.title,
            "higher_is_better": metric.higher_is_better,
            "judged": metric.judged,
            "means": {name: _interval(mean_interval(rows)) for name, rows in values.items() if _measured(rows)},
        }
        if baseline:
            base = values[baseline.name]
            others = {n: rows for n, rows in values.items() if n != baseline.name and _measured(rows - base)}
            entry["gains"] = {name: _interval(paired_gain(rows, base)) for name, rows in others.items()}
            if ceiling and ceiling is not baseline and metric.name.split("/")[0] != "quality":
                entry["closed"] = {
                    name: _share(base, rows, values[ceiling.name])
                    for name, rows in others.items()
                    if name != ceiling.name and _measured(rows - base, values[ceiling.name])
                }
        figures[metric.name] = entry
    return figures


def summarise_kid(
    features: dict[str, np.ndarray], real: np.ndarray, baseline: Variant | None, ceiling: Variant | None
) -> dict[str, Any]:
    """KID of each variant's features `[N, D]` to `real`, and its difference to baseline and ceiling (below 0 is nearer)."""
    figures: dict[str, Any] = {"reference_size": len(real), "variants": {}}
    for name, drawn in features.items():
        entry: dict[str, Any] = asdict(kid(real, drawn))
        for role, other in (("minus_baseline", baseline), ("minus_ceiling", ceiling)):
            if other and other.name != name and len(features[other.name]) == len(drawn):
                entry[role] = _interval(kid_gain(real, drawn, features[other.name]))
        figures["variants"][name] = entry
    return figures


def main_metric(table: Table) -> str | None:
    """The figure that galleries are sorted by: the first judge's mean, or its only attribute, or the first metric."""
    judged = [m.name for m in table.metrics if m.judged]
    means = [name for name in judged if name.endswith("/mean")]
    return next(iter(means or judged or [m.name for m in table.metrics]), None)


def _measured(*arrays: np.ndarray) -> bool:
    """Whether at least two prompts have a value in all of them; fewer have no interval."""
    both = np.logical_and.reduce([np.isfinite(a).any(axis=-1) for a in arrays])
    return int(both.sum()) >= 2


def _interval(interval: Interval) -> dict[str, Any]:
    return asdict(interval)


def _share(base: np.ndarray, rows: np.ndarray, ceiling: np.ndarray) -> dict[str, Any]:
    # Only seeds that all three have, so that the pairs are pairs.
    common = np.isfinite(base) & np.isfinite(rows) & np.isfinite(ceiling)
    share = share_closed(*(np.where(common, x, np.nan) for x in (base, rows, ceiling)))
    ends = {k: None if v is None or math.isinf(v) else v for k, v in (("low", share.low), ("high", share.high))}
    return {**asdict(share), **ends, "words": share.in_words()}
