"""The quality of the studies' pictures, apart from what they show."""

import numpy as np
import pytest
import torch
from PIL import Image

from vignette.errors import ConfigError
from vignette.evaluation.instruments.quality import ImageQuality
from vignette.miniature import quality as quality_module
from vignette.miniature.quality import Look, brisque, quality
from vignette.miniature.render import render
from vignette.miniature.world import SECOND, parse_keywords


@pytest.fixture(scope="module")
def renders():
    scene = parse_keywords("2cat, red cat, meadow background")
    return np.stack([np.asarray(render(scene, seed, SECOND)) for seed in range(3)])


def test_brisque_is_what_evaluate_says(renders):
    (said,) = ImageQuality(["brisque"], torch.device("cpu")).measure([Image.fromarray(renders[1])], [])
    found = brisque(renders)
    assert found[1] == said.values["quality/brisque"]
    assert len(set(found)) == len(renders)


def test_without_the_package_of_its_model_there_is_no_brisque(renders, monkeypatch):
    def missing():
        raise ConfigError("the package brisque is missing")

    monkeypatch.setattr(quality_module, "load_brisque", missing)
    assert brisque(renders) is None
    features = np.random.default_rng(1).normal(size=(8, 4))
    assert set(quality(features, Look(features), Look(features))) == {"kid", "kid_over_keyword"}


def test_what_is_worse_than_the_keyword_prompts_is_above_zero():
    rng = np.random.default_rng(2)
    real, near, far = rng.normal(size=(200, 8)), rng.normal(size=(100, 8)), rng.normal(2, 1, (100, 8))
    ceiling, worse = Look(near, rng.normal(20, 1, 100)), Look(far, rng.normal(30, 1, 100))
    found = quality(real, worse, ceiling)
    assert found["kid"] > quality(real, ceiling, None)["kid"]
    assert found["kid_over_keyword"][0] > 0
    assert 9 < found["brisque_over_keyword"][0] < 10 < found["brisque_over_keyword"][1] < 11
    assert set(quality(real, ceiling, None)) == {"kid", "brisque"}
