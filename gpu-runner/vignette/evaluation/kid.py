"""Kernel Inception Distance (Bińkowski et al. 2018, arXiv:1801.01401) on any features: unbiased, so small sets do not flatter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np

from vignette.errors import ConfigError
from vignette.evaluation.statistics import LEVEL, Interval

SUBSETS = 100
SUBSET_SIZE = 1000


@dataclass(frozen=True)
class Kid:
    """Mean and standard deviation over subsets, as the paper reports it; may be slightly negative near 0."""

    mean: float
    deviation: float
    subset_size: int
    subsets: int


def polynomial_kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(x.y / D + 1)^3 of the rows of `[N, D]` and `[M, D]`: `[N, M]`."""
    return (x.astype(np.float64) @ y.astype(np.float64).T / x.shape[1] + 1) ** 3


def kid(
    real: np.ndarray, drawn: np.ndarray, *, subsets: int = SUBSETS, subset_size: int = SUBSET_SIZE, seed: int = 0
) -> Kid:
    """
    The mean unbiased squared MMD over random subsets without replacement, of `real` `[N, D]` and `drawn` `[M, D]`.

    Where a set is smaller than `subset_size`, subsets are as large as the smaller set.

    Raises:
        ValueError: Fewer than 2 rows, different widths, or values that are not finite.
    """
    _check(real, drawn)
    size, rng = min(subset_size, len(real), len(drawn)), np.random.default_rng(seed)
    if size == len(real) == len(drawn):
        subsets = 1  # every subset is the whole
    values = []
    for _ in range(subsets):
        x = real[rng.choice(len(real), size, replace=False)]
        y = drawn[rng.choice(len(drawn), size, replace=False)]
        values.append(unbiased_mmd2(x, y))
    return Kid(float(np.mean(values)), float(np.std(values)), size, subsets)


def unbiased_mmd2(x: np.ndarray, y: np.ndarray) -> float:
    """The U-statistic of the squared maximum mean discrepancy (Gretton et al. 2012, lemma 6)."""
    within = sum(_off_diagonal_mean(polynomial_kernel(z, z)) for z in (x, y))
    return float(within - 2 * polynomial_kernel(x, y).mean())


def kid_gain(real: np.ndarray, a: np.ndarray, b: np.ndarray, *, level: float = LEVEL) -> Interval:
    """
    KID(a) - KID(b) to the same reference, below 0 where `a` is nearer, with a two-sample jackknife interval: rows of
    `a` and `b` are left out in pairs (the same prompt and seed), rows of `real` by themselves. Resampling with
    replacement would not do, since a row that comes twice makes a set look unlike any other.

    Args:
        real: `[N, D]`. a, b: `[M, D]`, paired by row.
    """
    _check(real, a)
    _check(real, b)
    if len(a) != len(b):
        raise ValueError(f"Paired features need the same number of rows; these have {len(a)} and {len(b)}.")
    ka, kb = polynomial_kernel(a, a), polynomial_kernel(b, b)
    cross = polynomial_kernel(real, a) - polynomial_kernel(real, b)
    whole = _off_diagonal_mean(ka) - _off_diagonal_mean(kb) - 2 * float(cross.mean())
    pairs = _off_diagonal_means_without(ka) - _off_diagonal_means_without(kb) - 2 * _means_without(cross, 1)
    # Without a row of `real` only the cross term changes: the reference's own term is the same in both.
    rows = _off_diagonal_mean(ka) - _off_diagonal_mean(kb) - 2 * _means_without(cross, 0)
    error = math.sqrt(_jackknife_variance(pairs) + _jackknife_variance(rows))
    z = NormalDist().inv_cdf((1 + level) / 2)
    return Interval(whole, whole - z * error, whole + z * error, len(a), level)


def read_features(file: Path) -> np.ndarray:
    """
    Features `[N, D]` from `.npy` or from `.safetensors` (its only tensor, or the one called `features`).

    Raises:
        ConfigError: A file that cannot be read or holds something else.
    """
    try:
        if file.suffix == ".safetensors":
            from safetensors.numpy import load_file

            tensors = load_file(file)
            name = "features" if "features" in tensors else next(iter(tensors), "")
            if not name or (name != "features" and len(tensors) > 1):
                raise ValueError(f"it holds {len(tensors)} tensors; call the one that is meant features")
            features = tensors[name]
        elif file.suffix == ".npy":
            features = np.load(file, allow_pickle=False)
        else:
            raise ValueError("features come as .npy or .safetensors")
        if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
            raise ValueError(f"features must be finite numbers [N, D] with at least 2 rows, not {features.shape}")
    except Exception as error:  # safetensors has an exception class of its own
        raise ConfigError(f"{file} holds no features: {error}.") from None
    return features


def _check(x: np.ndarray, y: np.ndarray) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"Both sets need features of the same width, [N, D]; these are {x.shape} and {y.shape}.")
    if min(len(x), len(y)) < 2:
        raise ValueError("KID needs at least 2 pictures on each side.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("The features hold NaN or infinite values.")


def _off_diagonal_mean(kernel: np.ndarray) -> float:
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))


def _off_diagonal_means_without(kernel: np.ndarray) -> np.ndarray:
    """The off-diagonal mean without row and column i, for each i. With 2 rows nothing is left, and it is the whole's."""
    n = len(kernel)
    if n < 3:
        return np.full(n, _off_diagonal_mean(kernel))
    total, rows = kernel.sum() - np.trace(kernel), kernel.sum(1) - np.diag(kernel)
    return (total - 2 * rows) / ((n - 1) * (n - 2))


def _means_without(matrix: np.ndarray, axis: int) -> np.ndarray:
    sums, others = matrix.sum(1 - axis), matrix.shape[1 - axis]
    return (matrix.sum() - sums) / (others * (matrix.shape[axis] - 1))


def _jackknife_variance(left_out: np.ndarray) -> float:
    n = len(left_out)
    return float((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
