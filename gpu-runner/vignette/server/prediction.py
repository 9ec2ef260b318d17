"""A prediction as Replicate's API shows it (https://replicate.com/docs/reference/http#predictions.get)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from vignette.engine.request import GenerationRequest

Status = Literal["starting", "processing", "succeeded", "failed", "canceled"]
TERMINAL: frozenset[Status] = frozenset({"succeeded", "failed", "canceled"})


@dataclass(eq=False)
class Prediction:
    """Times are seconds since 1970; `input` is what the client sent."""

    id: str
    request: GenerationRequest
    version: str
    input: dict[str, Any]
    base_url: str
    created_at: float
    webhook: str | None = None
    webhook_events_filter: list[str] | None = None
    status: Status = "starting"
    output: list[str] | None = None
    error: str | None = None
    error_code: str | None = None
    logs: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    started_at: float | None = None
    completed_at: float | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def terminal(self) -> bool:
        return self.status in TERMINAL

    def wants(self, event: str) -> bool:
        return self.webhook is not None and (self.webhook_events_filter is None or event in self.webhook_events_filter)

    def to_dict(self) -> dict[str, Any]:
        url = f"{self.base_url}/v1/predictions/{self.id}"
        return {
            "id": self.id,
            "model": f"vignette/{self.request.model}",
            "version": self.version,
            "input": self.input,
            "output": self.output,
            "logs": self.logs,
            "error": self.error,
            "error_code": self.error_code,
            "status": self.status,
            "source": "api",
            "data_removed": False,
            "metrics": self.metrics,
            "webhook": self.webhook,
            "webhook_events_filter": self.webhook_events_filter,
            "created_at": rfc3339(self.created_at),
            "started_at": rfc3339(self.started_at),
            "completed_at": rfc3339(self.completed_at),
            "urls": {"get": url, "cancel": f"{url}/cancel", "web": url},
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
