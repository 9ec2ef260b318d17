"""Health, metrics and the webhook secret."""

from __future__ import annotations

import httpx
import pytest

from tests.serving import finished
from tests.webhooks import SECRET

pytestmark = pytest.mark.anyio


async def test_pages(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vignette.server.routes.PAGE", 2)
    made = [(await finished(client))["id"] for _ in range(3)]
    first = (await client.get("/v1/predictions")).json()
    second = (await client.get(first["next"])).json()
    assert [p["id"] for p in first["results"] + second["results"]] == made[::-1]
    assert first["previous"] is None
    assert second["next"] is None


async def test_metrics_count(client: httpx.AsyncClient) -> None:
    await finished(client)
    text = (await client.get("/metrics")).text
    assert 'vignette_predictions_total{status="succeeded"} 1.0' in text
    assert "vignette_unfinished 0.0" in text
    assert "two purple cats" not in text


async def test_the_default_secret(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/webhooks/default/secret")).json() == {"key": SECRET}
