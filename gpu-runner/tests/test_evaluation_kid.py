"""KID against its definition written out, and differences whose intervals hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from vignette.evaluation import cli
from vignette.evaluation.kid import kid, kid_gain, read_features, unbiased_mmd2

RNG = np.random.default_rng(0)


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / len(a) + 1) ** 3)

    def within(z: np.ndarray) -> float:
        return sum(k(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j) / (len(z) * (len(z) - 1))

    return within(x) + within(y) - 2 * sum(k(a, b) for a in x for b in y) / (len(x) * len(y))


def test_it_is_the_definition_s() -> None:
    x, y = RNG.normal(size=(7, 5)), RNG.normal(0.5, 1, size=(9, 5))
    assert unbiased_mmd2(x, y) == pytest.approx(by_definition(x, y), rel=1e-10)


def test_it_is_unbiased_and_grows_with_the_distance() -> None:
    same = [unbiased_mmd2(*RNG.normal(size=(2, 12, 8))) for _ in range(400)]
    assert abs(np.mean(same)) < 4 * np.std(same) / 20
    real = RNG.normal(size=(300, 8))
    near, far = (kid(real, RNG.normal(shift, 1, size=(200, 8)), subset_size=100) for shift in (0.2, 0.6))
    assert near.mean < far.mean
    assert (near.subset_size, near.subsets) == (100, 100)
    whole = kid(real, real[::-1] + 1)
    assert (whole.subsets, whole.deviation) == (1, 0)


def test_differences_have_intervals_that_cover() -> None:
    # Both sets are drawn from one distribution, so the true difference is 0.
    hits, runs = 0, 150
    for _ in range(runs):
        real, a, b = RNG.normal(size=(60, 4)), RNG.normal(0.3, 1, size=(50, 4)), RNG.normal(0.3, 1, size=(50, 4))
        interval = kid_gain(real, a, b)
        hits += interval.low <= 0 <= interval.high
        assert interval.estimate == pytest.approx(unbiased_mmd2(real, a) - unbiased_mmd2(real, b), abs=1e-9)
    assert hits / runs > 0.88
    real, good, bad = RNG.normal(size=(80, 4)), RNG.normal(size=(80, 4)), RNG.normal(0.8, 1, size=(80, 4))
    assert kid_gain(real, good, bad).high < 0


def test_features_come_from_files(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    x = RNG.normal(size=(20, 6)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    save_file({"features": x + 1, "other": x}, tmp_path / "y.safetensors")
    np.testing.assert_array_equal(read_features(tmp_path / "x.npy"), x)
    assert cli.main(["kid", str(tmp_path / "x.npy"), str(tmp_path / "y.safetensors")]) == 0
    printed = float(capsys.readouterr().out.split()[1])
    assert printed == pytest.approx(unbiased_mmd2(x, x + 1), rel=1e-4)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("none.npy", None, "none.npy"),
        ("flat.npy", np.zeros(4), r"\[N, D\]"),
        ("nan.npy", np.full((4, 2), np.nan), "finite"),
        ("pickle.npy", np.array([{"a": 1}]), "pickle"),
        ("text.csv", np.zeros((4, 2)), ".npy or .safetensors"),
        ("narrow.npy", np.zeros((4, 2)), "same width"),
    ],
)
def test_bad_features_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture, name: str, content: np.ndarray | None, expected: str
) -> None:
    np.save(tmp_path / "good.npy", np.zeros((4, 3)))
    if content is not None:
        with (tmp_path / name).open("wb") as stream:
            np.save(stream, content, allow_pickle=True)
    assert cli.main(["kid", str(tmp_path / "good.npy"), str(tmp_path / name)]) == 2
    error = capsys.readouterr().err
    assert name in error
    assert expected.replace("\\", "") in error
