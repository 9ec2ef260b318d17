"""A converted published checkpoint, a trained adapter and none: each request to the runner chooses its own."""

from __future__ import annotations

import io
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from tests.drawing import assert_same, draw, request
from tests.published import Published
from tests.serving import finished
from tests.tiny_training import losses_of, small, write_imagefolder
from vignette.engine.catalogue import Catalogue, read_catalogue
from vignette.engine.loader import LoadedModel, load_model
from vignette.errors import ConfigError
from vignette.sur import SURAdapter
from vignette.sur.convert import convert_checkpoint
from vignette.training.run import train

pytestmark = pytest.mark.anyio

NARRATIVE = "two purple cats fell asleep on the beach"
KEYWORDS = "2cat, purple cat, sleeping, beach background"

MODELS = """
[[models]]
id = "tiny"
path = "{model}"

[models.defaults]
width = 32
height = 32
num_inference_steps = 4
guidance_scale = 4.0

[models.limits]
min_width = 16
min_height = 16

[[models.adapters]]
id = "published"
path = "{published}"

[[models.adapters]]
id = "trained"
path = "{trained}"
default = true
"""


def trained(model_folder: Path, folder: Path) -> Path:
    """What `vignette adapter train` makes of one narrative in some steps, with every loss that needs no teacher."""
    rows = [{"file_name": f"{i}.png", "text": NARRATIVE, "prompt": KEYWORDS} for i in range(2)]
    data = write_imagefolder(folder / "data", rows)
    options = small(model_folder, data, folder, steps=24, learning_rate=3e-3, keyword_share=0.0, ema_decay=0.0)
    written = train(options, "cpu")
    assert written is not None
    losses = losses_of(folder)
    assert losses[-1]["loss/align"] < losses[0]["loss/align"] / 2
    return written


def write(file: Path, model: Path, **folders: Path) -> Path:
    file.write_text(MODELS.format(model=model, **folders))
    return file


@pytest.fixture(scope="module")
def catalogue(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    folder = tmp_path_factory.mktemp("adapters")
    torch.manual_seed(3)
    torch.save(Published(32).state_dict(), folder / "adapter_checkpoint1000.pt")
    convert_checkpoint(folder / "adapter_checkpoint1000.pt", 0.1, folder / "published")
    folders = {"published": folder / "published", "trained": trained(model_folder, folder / "run")}
    return read_catalogue(write(folder / "models.toml", model_folder, **folders))


@pytest.fixture(scope="module")
def model(catalogue: Catalogue) -> LoadedModel:
    return load_model(catalogue.default, torch.device("cpu"))


async def picture(client: httpx.AsyncClient, **choice: object) -> tuple[np.ndarray, object]:
    prediction = await finished(client, {"prompt": NARRATIVE, "seed": 3, **choice})
    assert prediction["status"] == "succeeded", prediction["error"]
    response = await client.get(prediction["output"][0])
    return np.asarray(Image.open(io.BytesIO(response.content))), prediction["metrics"]["adapter"]


async def test_each_request_chooses(client: httpx.AsyncClient, model: LoadedModel) -> None:
    none, said = await picture(client, adapter=None)
    assert said is None
    assert_same([none], draw(model, request(prompt=NARRATIVE, num_inference_steps=4)).pictures())
    drawn = {"none": none}
    for id in ("published", "trained"):
        drawn[id], said = await picture(client, adapter=id)
        assert said == {"id": id, "scale": 1.0}
        assert_same([drawn[id]], draw(model, request(prompt=NARRATIVE, num_inference_steps=4, adapter=id)).pictures())
    default, said = await picture(client)
    assert said == {"id": "trained", "scale": 1.0}
    assert np.array_equal(default, drawn["trained"])
    for one, other in (("none", "published"), ("none", "trained"), ("published", "trained")):
        assert np.abs(drawn[one].astype(int) - drawn[other]).mean() > 0.1


async def test_the_listing_names_them(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/v1/models/vignette/tiny")).json()["vignette"]["adapters"]
    assert [(a["id"], a["default"]) for a in listed] == [("published", False), ("trained", True)]


def test_an_adapter_for_another_text_encoder_is_named(model_folder: Path, tmp_path: Path) -> None:
    SURAdapter(64, layout="token").save_pretrained(tmp_path / "wide")
    folders = {"published": tmp_path / "wide", "trained": tmp_path / "wide"}
    catalogue = read_catalogue(write(tmp_path / "models.toml", model_folder, **folders))
    with pytest.raises(ConfigError, match="is 64 wide, the text encoder of tiny 32: it was trained for another model"):
        load_model(catalogue.default, torch.device("cpu"))
