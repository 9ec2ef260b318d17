"""A prediction as server-sent events, as Replicate's clients read them from `urls.stream` (stream.js, stream.py there)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from vignette.server.prediction import Prediction

HEARTBEAT_SECONDS = 15.0
DONE = {"succeeded": {}, "failed": {"reason": "error"}, "canceled": {"reason": "canceled"}}


async def events(
    prediction: Prediction, base_url: str, after: int = 0, heartbeat: float = HEARTBEAT_SECONDS
) -> AsyncIterator[str]:
    """
    `logs` as they grow, `output` for every preview and then for every picture, `error` where there is one, and `done`.

    Args:
        base_url: How the client reaches this runner.
        after: Characters of the logs that the client has, which is what the events' ids count.
        heartbeat: Seconds of silence after which a comment is sent.
    """
    seen = after
    shown: list[str] = []
    while True:
        changed = prediction.changed  # before the look, so that no change is missed
        ended = prediction.done.is_set()
        if len(prediction.logs) > seen:
            text, seen = prediction.logs[seen:], len(prediction.logs)
            yield _event("logs", text, seen)
        # Between the end and its entry in the journal nothing new is told.
        output = (prediction.output(base_url) or []) if ended or not prediction.terminal else shown
        for url in output:
            if url and url not in shown:
                yield _event("output", url, seen)
        shown = output
        if ended:
            if prediction.error is not None:
                yield _event("error", prediction.error, seen)
            yield _event("done", json.dumps(DONE[prediction.status]), seen)
            return
        try:
            await asyncio.wait_for(changed.wait(), heartbeat)
        except asyncio.TimeoutError:
            yield ": waiting\n\n"


def _event(name: str, data: str, id: int) -> str:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {name}\nid: {id}\n{lines}\n"
