"""Figures of how true reconstructions are."""

import numpy as np
import pytest

from vignette.miniature.fidelity import edges, psnr


def test_psnr_is_the_mean_over_the_pictures() -> None:
    black = np.zeros((2, 4, 4, 3), np.uint8)
    grey = black.copy()
    grey[0] += 51  # a fifth of the range: 20 log10(5) dB
    grey[1] += 255  # all of it: 0 dB
    assert psnr(black, grey) == psnr(grey, black) == pytest.approx(20 * np.log10(5) / 2)
    assert psnr(black, black) == np.inf


def test_edges_are_lost_to_blur() -> None:
    stripes = np.zeros((1, 4, 4, 3), np.uint8)
    stripes[:, :, ::2] = 200
    assert edges(stripes) == pytest.approx(100)  # 200 across, nothing along
    assert edges(stripes // 2) == pytest.approx(50)
    assert edges(np.full((1, 4, 4, 3), 9, np.uint8)) == 0
