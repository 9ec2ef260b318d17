"""A prediction as the journal keeps it: what of it outlives the process, in JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from vignette.engine.request import GenerationRequest
from vignette.server.codes import UrlCodes
from vignette.server.prediction import Order, Prediction

# Of the time before a restart no more seconds count than these: whether a clock that is far ahead now has jumped, nobody
# can tell, and one that has must not end everything in line.
MOST_AGE = 600.0
_KEPT = (
    "id",
    "version",
    "input",
    "created_at",
    "started_at",
    "completed_at",
    "status",
    "files",
    "error",
    "error_code",
)
_KEPT_WHEN_ENDED = ("logs", "metrics")


def to_record(prediction: Prediction) -> str:
    """One that has not ended is begun anew, without what was drawn of it."""
    names = _KEPT + (_KEPT_WHEN_ENDED if prediction.terminal else ())
    kept = {name: getattr(prediction, name) for name in names}
    return json.dumps(kept | {"request": asdict(prediction.request), "order": asdict(prediction.order)})


def from_record(record: str, *, now: float, now_on: float, codes: UrlCodes) -> Prediction:
    """
    `now` and `now_on` are this moment on the two clocks.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: Another version wrote it, or it is damaged.
    """
    kept = json.loads(record)
    request, order = kept.pop("request"), Order(**kept.pop("order"))
    request["loras"] = tuple((id, scale) for id, scale in request["loras"])
    prediction = Prediction(
        request=GenerationRequest(**request),
        order=order,
        accepted_on=now_on - min(max(0.0, now - kept["created_at"]), MOST_AGE),
        codes=codes,
        **kept,
    )
    if not prediction.terminal:
        prediction.status, prediction.started_at = "starting", None
    return prediction


def remains(id: str, record: str, *, now: float, now_on: float, codes: UrlCodes) -> Prediction:
    """What can be told of a record that `from_record` does not read: not to be drawn, only to be ended."""
    kept = _table(record)
    asked, order = kept.get("request"), kept.get("order")
    asked, order = asked if isinstance(asked, dict) else {}, order if isinstance(order, dict) else {}
    known = {part.name: order[part.name] for part in fields(Order) if part.name in order}
    blank: dict[str, Any] = dict.fromkeys(("prompt", "negative_prompt", "scheduler"), "")
    blank |= dict.fromkeys(("width", "height", "num_inference_steps", "num_images", "seed"), 0)
    blank |= {"adapter": None, "adapter_scale": 1.0, "guidance_scale": 1.0, "output_format": "png"}
    input, created_at = kept.get("input"), kept.get("created_at")
    return Prediction(
        id=id,
        request=GenerationRequest(id=id, model=str(asked.get("model", "")), **blank),
        version=str(kept.get("version", "")),
        input=input if isinstance(input, dict) else {},
        order=Order(**({"base_url": ""} | known)),
        created_at=created_at if isinstance(created_at, float) else now,
        accepted_on=now_on,
        codes=codes,
    )


def _table(record: str) -> dict[str, Any]:
    """The JSON object that `record` is, or an empty one."""
    try:
        read = json.loads(record)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
