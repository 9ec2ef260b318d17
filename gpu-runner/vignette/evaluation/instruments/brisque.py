"""
BRISQUE (Mittal et al. 2012, https://doi.org/10.1109/TIP.2012.2214050): how far a picture's local contrasts are from those of
clean photographs, 0 (near) to 100 (far) and somewhat beyond on both sides.

The features are those of the authors' C++ release, for which the package `brisque` carries their trained regressor. Only
that is read: the package's own code wants OpenCV, scikit-image and a compiler for what is a page of PyTorch.
"""

from __future__ import annotations

import hashlib
import pickletools
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F

from vignette.errors import PIP_INSTALL, ConfigError

FEATURES = 36
WINDOW, SIGMA = 7, 7 / 6
# Half the size by the cubic that OpenCV uses (a = -0.75), of which four taps are left at a factor of exactly two.
CUBIC = torch.tensor([-0.09375, 0.59375, 0.59375, -0.09375], dtype=torch.float64)
SHIFTS = ((0, 1), (1, 0), (1, 1), (-1, 1))
SHAPES = torch.arange(200, 10_001, dtype=torch.float64) / 1000


class Brisque:
    """
    Args:
        ranges: `[2, 36]`, the least and the largest of each feature in training.
        vectors: `[N, 36]` of the support vector regression with a Gaussian kernel of width `gamma`.
        weights: `[N]` of the vectors; `offset` is taken from their sum.
    """

    lower_better = True

    def __init__(
        self, ranges: torch.Tensor, vectors: torch.Tensor, weights: torch.Tensor, gamma: float, offset: float
    ) -> None:
        self._ranges, self._vectors, self._weights = ranges, vectors, weights
        self._gamma, self._offset = gamma, offset

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """`[1, 3, H, W]` in [0, 1] to a score; not a number where there is no contrast to measure."""
        low, high = self._ranges
        scaled = 2 * (features(pixels) - low) / (high - low) - 1
        near = torch.exp(-self._gamma * (self._vectors - scaled).square().sum(dim=1))
        return self._weights @ near - self._offset


def features(pixels: torch.Tensor) -> torch.Tensor:
    """`[1, 3, H, W]` in [0, 1] to `[36]`: 18 of the picture in grey, 18 of the same at half the size."""
    red, green, blue = pixels[0].double().cpu()
    grey = (255 * (0.299 * red + 0.587 * green + 0.114 * blue)).round()[None, None]
    return torch.cat([_at_one_scale(grey / 255), _at_one_scale(_half(grey) / 255)])


def _half(grey: torch.Tensor) -> torch.Tensor:
    height, width = (side // 2 * 2 for side in grey.shape[-2:])
    padded = F.pad(grey[..., :height, :width], (1, 1, 1, 1), mode="replicate")
    return F.conv2d(padded, torch.outer(CUBIC, CUBIC)[None, None], stride=2).clamp(0, 255).round()


def _at_one_scale(grey: torch.Tensor) -> torch.Tensor:
    """Features of contrasts that are normalised by their surroundings (MSCN), and of products of neighbours among them."""
    mean = _blur(grey)
    spread = (_blur(grey.square()) - mean.square()).clamp(min=0).sqrt()
    contrast = ((grey - mean) / (spread + 1 / 255))[0, 0]
    shape, _, left, right = _fitted(contrast)
    found = [shape, (left + right) / 2]
    for down, across in SHIFTS:
        moved = F.pad(contrast, (0, across, max(0, -down), max(0, down)))
        top = max(0, down)
        moved = moved[top : top + contrast.shape[0], across:]
        found += _fitted(contrast * moved)
    return torch.stack(found)


def _blur(image: torch.Tensor) -> torch.Tensor:
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    bell = torch.exp(-offsets.square() / (2 * SIGMA**2))
    kernel = torch.outer(bell, bell) / bell.sum() ** 2
    return F.conv2d(F.pad(image, [WINDOW // 2] * 4, mode="reflect"), kernel[None, None])


def _fitted(values: torch.Tensor) -> list[torch.Tensor]:
    """
    An asymmetric generalised Gaussian by moments (Lasmar et al. 2009): shape, mean, left and right variance. The shape is
    the one of `SHAPES` whose ratio of moments is nearest.
    """
    left, right = (values[side].square().mean() for side in (values < 0, values > 0))
    balance = (left / right).sqrt()
    ratio = values.abs().mean().square() / values.square().mean()
    ratio = ratio * (balance**3 + 1) * (balance + 1) / (balance.square() + 1).square()
    one, two, three = (torch.lgamma(n / SHAPES) for n in (1, 2, 3))
    nearest = ((2 * two - one - three).exp() - ratio).abs().argmin()
    mean = (right.sqrt() - left.sqrt()) * (two - (one + three) / 2)[nearest].exp()
    return [SHAPES[nearest], mean, left, right]


def load_brisque() -> tuple[Brisque, str]:
    """The trained model and an id that changes with it. Raises ConfigError where the package that carries it is missing."""
    # Found but not imported: the package's code asks for libraries that its model does not need.
    package = find_spec("brisque")
    if package is None or not package.submodule_search_locations:
        raise ConfigError(
            f"--quality brisque needs the model of the package brisque: {PIP_INSTALL} --no-deps -r "
            "gpu-runner/requirements-brisque.txt."
        )
    folder = Path(package.submodule_search_locations[0]) / "models"
    try:
        regression, ranges = (folder / "svm.txt").read_text("ascii"), (folder / "normalize.pickle").read_bytes()
        model = Brisque(_ranges(ranges), *_regression(regression))
    except (OSError, ValueError, KeyError, IndexError, RuntimeError) as error:
        raise ConfigError(f"--quality brisque: {folder} holds no model as version 0.2.0 has it ({error}).") from None
    return model, hashlib.sha256(regression.encode() + ranges).hexdigest()[:12]


def _ranges(pickled: bytes) -> torch.Tensor:
    """The pickle's numbers in their order, all least ones first; they are read off, since running a pickle runs code."""
    numbers = [value for kind, value, _ in pickletools.genops(pickled) if kind.name == "BINFLOAT"]
    return torch.tensor(numbers, dtype=torch.float64).reshape(2, FEATURES)


def _regression(text: str) -> tuple[torch.Tensor, torch.Tensor, float, float]:
    """LIBSVM's text format: settings, `SV`, then a line per vector with its weight and `index:value` from 1 on."""
    head, _, body = text.partition("\nSV\n")
    settings = dict(line.split(maxsplit=1) for line in head.splitlines())
    lines = [line.split() for line in body.splitlines()]
    vectors = torch.zeros(len(lines), FEATURES, dtype=torch.float64)
    for vector, (_, *pairs) in zip(vectors, lines, strict=True):
        for index, _, value in (pair.partition(":") for pair in pairs):
            vector[int(index) - 1] = float(value)
    weights = torch.tensor([float(line[0]) for line in lines], dtype=torch.float64)
    return vectors, weights, float(settings["gamma"]), float(settings["rho"])
