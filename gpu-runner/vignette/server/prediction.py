"""A prediction as Replicate's API shows it (https://replicate.com/docs/reference/http#predictions.get)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from vignette.engine.request import DEFAULT_URGENCY, GenerationRequest
from vignette.server.codes import UrlCodes

Status = Literal["starting", "processing", "succeeded", "failed", "canceled"]
TERMINAL: frozenset[Status] = frozenset({"succeeded", "failed", "canceled"})


@dataclass(frozen=True)
class Order:
    """
    What a client says about a prediction beside its input.

    `base_url` is how the client reaches this runner, `cancel_after` how many seconds after its acceptance a prediction
    that is not done is canceled, `urgency` from 0, the most urgent, to 7 (RFC 9218, section 4.1), `caller` whom requests
    of equal urgency are for, who then take turns, `traceparent` the trace and `request_id` the request that the prediction
    came with.
    """

    base_url: str
    webhook: str | None = None
    webhook_events_filter: Sequence[str] | None = None
    cancel_after: float | None = None
    urgency: int = DEFAULT_URGENCY
    caller: str = ""
    traceparent: str | None = None
    request_id: str | None = None


@dataclass(eq=False)
class Prediction:
    """
    Times are seconds since 1970; `input` is what the client sent. `accepted_on` and `started_on` are the same moments as
    `created_at` and `started_at` on a clock that does not jump. `files` are the names of its outputs, `previews` the data
    URLs of what is not finished yet. `suspect` is whether a process died while it drew it.
    """

    id: str
    request: GenerationRequest
    version: str
    input: dict[str, Any]
    order: Order
    created_at: float
    accepted_on: float
    codes: UrlCodes
    suspect: bool = False
    status: Status = "starting"
    files: list[str] = field(default_factory=list)
    previews: list[str] = field(default_factory=list)
    error: str | None = None
    error_code: str | None = None
    logs: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    started_at: float | None = None
    started_on: float | None = None
    completed_at: float | None = None
    # Set once the end would survive this process.
    done: asyncio.Event = field(default_factory=asyncio.Event)
    # Set at the next change of any of the above.
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    def wants(self, event: str) -> bool:
        """Whether its webhook is to be told of `event`."""
        events = self.order.webhook_events_filter
        return self.order.webhook is not None and (events is None or event in events)

    @property
    def marks(self) -> dict[str, str | None]:
        """What a line in the log says of it."""
        order = self.order
        return {"prediction": self.id, "traceparent": order.traceparent, "request_id": order.request_id}

    def touch(self) -> None:
        """Sets `changed` and replaces it."""
        self.changed.set()
        self.changed = asyncio.Event()

    def output(self, base_url: str) -> list[str] | None:
        """Each picture's URL, which opens it without the bearer token; before the end, the previews."""
        return [self._file_url(base_url, name) for name in self.files] or list(self.previews) or None

    def _file_url(self, base_url: str, name: str) -> str:
        return f"{base_url}/files/{self.id}/{name}?code={self.codes.file(self.id, name, self.created_at)}"

    def to_dict(self, base_url: str | None = None) -> dict[str, Any]:
        """For who reaches this runner at `base_url`; by default, for who has asked for the prediction."""
        base_url = base_url or self.order.base_url
        url = f"{base_url}/v1/predictions/{self.id}"
        return {
            "id": self.id,
            "model": f"vignette/{self.request.model}",
            "version": self.version,
            "input": self.input,
            "output": self.output(base_url),
            "logs": self.logs,
            "error": self.error,
            "error_code": self.error_code,
            "status": self.status,
            "source": "api",
            "data_removed": False,
            "metrics": self.metrics,
            "webhook": self.order.webhook,
            "webhook_events_filter": self.order.webhook_events_filter,
            "created_at": rfc3339(self.created_at),
            "started_at": rfc3339(self.started_at),
            "completed_at": rfc3339(self.completed_at),
            "urls": {
                "get": url,
                "cancel": f"{url}/cancel",
                "stream": f"{base_url}/v1/streams/{self.id}/{self.codes.stream(self.id)}",
                "web": url,
            },
        }

    def to_json(self) -> bytes:
        return json.dumps(self.to_dict(), ensure_ascii=False, separators=(",", ":")).encode()


def rfc3339(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def progress_line(step: int, steps: int, elapsed: float) -> str:
    """One line as tqdm draws it, which `parseProgressFromLogs` of Replicate's client reads. `elapsed` in seconds."""
    rate = step / elapsed if elapsed > 0 else 0.0
    left = (steps - step) / rate if rate > 0 else 0.0
    bar = "#" * (10 * step // steps)
    return f"{100 * step // steps:3d}%|{bar:<10}| {step}/{steps} [{_clock(elapsed)}<{_clock(left)}, {rate:.2f}it/s]\n"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
