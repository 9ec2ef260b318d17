"""What the runner tells of its models, and how they are named."""

from __future__ import annotations

import httpx
import pytest

from tests.serving import INPUT, finished
from vignette.engine.loader import LoadedModel

pytestmark = pytest.mark.anyio


async def test_models_tell_the_edge_all_it_needs(client: httpx.AsyncClient, model: LoadedModel) -> None:
    listed = (await client.get("/v1/models")).json()["results"]
    assert len(listed) == 1
    entry = listed[0]
    assert (entry["owner"], entry["name"]) == ("vignette", "tiny")
    extra = entry["vignette"]
    assert extra["default"] is True
    assert extra["adapters"] == [{"id": "sur", "default": True, "description": ""}]
    assert extra["defaults"]["num_inference_steps"] == 4
    assert set(extra["limits"]) == {
        *("min_width", "max_width", "min_height", "max_height", "multiple_of", "max_steps", "max_images"),
        *("max_prompt_chars", "max_prompt_chunks"),
    }
    assert "DDIMScheduler" in extra["schedulers"]
    assert (await client.get("/v1/models/vignette/tiny")).json() == entry
    version = (await client.get(f"/v1/models/vignette/tiny/versions/{model.version}")).json()
    assert version == entry["latest_version"]
    assert set(version) == {"id", "created_at", "cog_version", "openapi_schema"}
    assert version["openapi_schema"]["components"]["schemas"]["Output"]["type"] == "array"
    assert (await client.get("/v1/models/vignette/tiny/versions")).json()["results"] == [version]
    for path in ("/v1/models/vignette/other", "/v1/models/else/tiny", "/v1/models/vignette/tiny/versions/0"):
        assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("form", ["{id}", "vignette/tiny", "vignette/tiny:{id}"])
async def test_a_version_may_be_named_as_the_clients_do(
    client: httpx.AsyncClient, model: LoadedModel, form: str
) -> None:
    prediction = await finished(client, version=form.format(id=model.version), stream=False)
    assert prediction["version"] == model.version


async def test_predictions_by_model(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/models/vignette/tiny/predictions", json={"input": INPUT})
    assert response.status_code == 201
    assert (await client.post("/v1/models/vignette/other/predictions", json={"input": INPUT})).status_code == 404
