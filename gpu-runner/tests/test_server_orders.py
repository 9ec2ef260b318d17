"""What headers say about a prediction: its deadline, its turn, its trace."""

from __future__ import annotations

import asyncio
import json
import logging

import httpx
import pytest

from tests.conftest import Gate
from tests.serving import INPUT, Inbox, finished
from tests.test_webhooks import TRACEPARENT
from tests.webhooks import URL
from vignette.errors import InvalidHeader
from vignette.server import logs
from vignette.server.asking import cancel_after, urgency
from vignette.server.service import PredictionService
from vignette.server.trace import accepted

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, None), ("5s", 5), ("90", 90), (" 5M ", 300), ("1h30m45s", 5445), ("2h", 7200), ("1h5s", 3605)],
)
def test_durations(header: str | None, seconds: float | None) -> None:
    assert cancel_after(header) == seconds


@pytest.mark.parametrize("header", ["", "4s", "4", "soon", "-5s", "5m1h", "1.5h", "9" * 40 + "s", "5s5s", "٥s"])
def test_durations_that_are_none(header: str) -> None:
    with pytest.raises(InvalidHeader, match="1h30m"):
        cancel_after(header)


@pytest.mark.parametrize(
    ("header", "value"),
    [(None, 3), ("u=0", 0), ("u=7, i", 7), ("i, u=5", 5), ("i", 3), ("u=8", 3), ("u=-1", 3), ("u=1;x=2", 1), ("?", 3)],
)
def test_urgencies(header: str | None, value: int) -> None:
    assert urgency(header) == value


@pytest.mark.parametrize(
    ("header", "valid"),
    [
        (TRACEPARENT, True),
        (TRACEPARENT.replace("00-", "cc-", 1) + "-more", True),
        (TRACEPARENT.upper(), False),
        (TRACEPARENT.replace("00-", "ff-", 1), False),
        ("00-" + "0" * 32 + "-b7ad6b7169203331-01", False),
        ("00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01", False),
        (TRACEPARENT + "-more", False),
        (TRACEPARENT + "\n", False),
        ("", False),
    ],
)
def test_traceparents(header: str, valid: bool) -> None:
    assert accepted(header) == (header if valid else None)


async def test_a_deadline_ends_what_waits(client: httpx.AsyncClient, service: PredictionService, gate: Gate) -> None:
    gate.shut()
    made = await client.post("/v1/predictions", json={"input": INPUT}, headers={"Cancel-After": "1m"})
    prediction = service.get(made.json()["id"])
    assert prediction
    timer = service._ledger._timers[prediction.id]
    assert 55 < timer.when() - asyncio.get_running_loop().time() <= 60
    timer._run()  # and the minute is over
    await prediction.done.wait()
    now = prediction.to_dict()
    assert (now["status"], now["error_code"]) == ("canceled", "deadline_exceeded")
    assert "60 s" in now["error"]
    assert service.engine.unfinished == 0
    gate.open()


async def test_a_deadline_is_over_with_the_prediction(client: httpx.AsyncClient, service: PredictionService) -> None:
    response = await client.post(
        "/v1/predictions", json={"input": INPUT}, headers={"Cancel-After": "5s", "Prefer": "wait"}
    )
    assert response.json()["status"] == "succeeded"
    timer = service._ledger._timers[response.json()["id"]]
    assert timer.when() - asyncio.get_running_loop().time() > 3000  # until it is forgotten


async def test_a_malformed_deadline_is_named(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/predictions", json={"input": INPUT}, headers={"Cancel-After": "soon"})
    assert response.status_code == 422
    assert response.json()["detail"][0]["loc"] == ["header", "Cancel-After"]


async def test_urgency_and_caller_reach_the_engine(client: httpx.AsyncClient, service: PredictionService) -> None:
    headers = {"Priority": "u=1", "X-Vignette-Caller": "acme", "Prefer": "wait"}
    response = await client.post("/v1/predictions", json={"input": INPUT}, headers=headers)
    prediction = service.get(response.json()["id"])
    assert prediction
    assert (prediction.request.urgency, prediction.request.caller) == (1, "acme")


async def test_a_request_id_is_answered_and_made_where_there_is_none(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz", headers={"X-Request-Id": "mine-1"})).headers["x-request-id"] == "mine-1"
    for given in ({}, {"X-Request-Id": "with spaces"}, {"X-Request-Id": "x" * 200}):
        assert (await client.get("/healthz", headers=given)).headers["x-request-id"].startswith("req_")
    assert (await client.get("/nothing")).headers["x-request-id"]


async def test_a_trace_reaches_the_callback_and_the_log(
    client: httpx.AsyncClient, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vignette")
    caplog.handler.setFormatter(logs.JsonFormatter())
    headers = {"traceparent": TRACEPARENT, "X-Request-Id": "mine-1", "Prefer": "wait"}
    body = {"input": INPUT, "webhook": URL, "webhook_events_filter": ["completed"]}
    done = (await client.post("/v1/predictions", json=body, headers=headers)).json()
    await inbox.completed.wait()
    trace = TRACEPARENT.split("-")[1]
    assert inbox.requests[-1].headers["traceparent"].split("-")[1] == trace
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    assert {line["message"] for line in lines} == {
        f"Accepted {done['id']}.",
        f"Ended {done['id']}: succeeded.",
        "POST /v1/predictions: 201",
    }
    assert {(line["request_id"], line["trace_id"]) for line in lines} == {("mine-1", trace)}
    access = next(line for line in lines if "method" in line)
    assert (access["method"], access["path"], access["status"]) == ("POST", "/v1/predictions", 201)
    assert access["milliseconds"] > 0
    assert "two purple cats" not in caplog.text


def test_a_log_line_is_one_object_whatever_it_says(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(logs.JsonFormatter())
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("vignette.test").exception('a "quoted"\nmessage')
    [line] = caplog.text.splitlines()
    parsed = json.loads(line)
    assert parsed["message"] == 'a "quoted"\nmessage'
    assert parsed["exception"].endswith("ValueError: two\nlines")
    assert set(parsed) == {"time", "level", "logger", "message", "exception"}


async def test_refusals_and_failures_are_counted(
    client: httpx.AsyncClient, service: PredictionService, gate: Gate
) -> None:
    gate.shut()
    for _ in range(service.engine.max_queue):
        await client.post("/v1/predictions", json={"input": INPUT})
    assert (await client.get("/readyz")).json() == {"status": "busy"}
    assert (await client.post("/v1/predictions", json={"input": INPUT})).status_code == 503
    service.engine._fail_all("runner_defunct", "The runner's device stopped working; ask again.")
    for prediction in service.newest_first():
        await prediction.done.wait()
    gate.open()
    await finished(client)
    text = (await client.get("/metrics")).text
    for line in (
        'vignette_refused_total{reason="busy"} 1.0',
        'vignette_failures_total{code="runner_defunct"} 3.0',
        'vignette_predictions_total{status="succeeded"} 1.0',
        "vignette_waiting 0.0",
        "vignette_webhooks_undelivered 0.0",
    ):
        assert line in text
