"""Outputs' URLs open themselves: Replicate's clients send no token to what lies behind https."""

from __future__ import annotations

import logging

import httpx
import pytest

from tests.serving import CODES, INPUT, TOKEN, Inbox, client_of, finished
from tests.webhooks import URL
from vignette.server.service import PredictionService

pytestmark = pytest.mark.anyio

BARE = {"Authorization": ""}


async def test_a_url_opens_its_own_file_and_no_other(client: httpx.AsyncClient) -> None:
    one, other = await finished(client, INPUT | {"num_images": 2}), await finished(client)
    first, second = map(httpx.URL, one["output"])
    response = await client.get(first, headers=BARE)
    assert response.status_code == 200
    assert response.content == (await client.get(first.copy_remove_param("code"))).content
    assert response.headers["cache-control"] == "private"
    code = first.params["code"]
    for url in (
        first.copy_remove_param("code"),
        first.copy_set_param("code", code[:-1]),
        first.copy_set_param("code", "é"),
        first.copy_set_param("code", CODES.stream(one["id"])),
        second.copy_set_param("code", code),
        httpx.URL(other["output"][0]).copy_set_param("code", code),
        httpx.URL(f"http://runner/files/unknown/0.png?code={code}"),
    ):
        assert (await client.get(url, headers=BARE)).status_code == 401, url
    # The token is good for all of them.
    assert (await client.get(second.copy_set_param("code", code))).status_code == 200


async def test_a_code_is_over_with_its_file(client: httpx.AsyncClient, service: PredictionService) -> None:
    async def drawn() -> str:
        response = await client.put("/v1/predictions/gen_1", json={"input": INPUT}, headers={"Prefer": "wait"})
        return response.json()["output"][0]

    old = await drawn()
    service._ledger._timers["gen_1"]._run()  # and the hour is over
    assert (await client.get(old, headers=BARE)).status_code == 401
    assert (await client.get(old)).status_code == 404
    new = await drawn()
    assert new != old
    assert (await client.get(old, headers=BARE)).status_code == 401
    assert (await client.get(new, headers=BARE)).status_code == 200


async def test_no_code_is_logged(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "vignette")
    done = await finished(client)
    [file], stream = done["output"], done["urls"]["stream"]
    for method in ("GET", "POST", "DELETE"):
        for url in (file, stream, f"{stream}/more"):
            await client.request(method, url, headers=BARE)
    assert f"DELETE /v1/streams/{done['id']}/…: 405" in caplog.text
    for code in (httpx.URL(file).params["code"], CODES.stream(done["id"]), TOKEN):
        assert code not in caplog.text


async def test_public_url_is_what_everybody_is_told(service: PredictionService, inbox: Inbox) -> None:
    async with client_of(service, public_url="https://runner.example") as client:
        body = {"input": INPUT, "webhook": URL, "webhook_events_filter": ["completed"]}
        response = await client.post("/v1/predictions", json=body, headers={"Prefer": "wait"})
        done = response.json()
        await inbox.completed.wait()
        here = f"https://runner.example/v1/predictions/{done['id']}"
        assert (response.headers["location"], done["urls"]["get"]) == (here, here)
        assert done["output"][0].startswith(f"https://runner.example/files/{done['id']}/0.png?code=")
        assert inbox.bodies[-1]["output"] == done["output"]
        stream = await client.get(done["urls"]["stream"], headers=BARE)
        assert done["output"][0] in stream.text
        models = await client.get("/v1/models")
        for told in (response, stream, models, await client.get("/v1/predictions"), inbox.requests[-1]):
            assert b"http://runner" not in told.content
        assert (await client.get(done["output"][0], headers=BARE)).status_code == 200
