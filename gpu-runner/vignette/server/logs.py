"""The process's log: lines for people, or JSON objects with the ids that join them to a request and its trace."""

from __future__ import annotations

import contextvars
import json
import logging
import sys
import time
from typing import Any, Literal

from vignette.server.trace import trace_id

Format = Literal["text", "json"]
# The ids of the request on whose behalf something happens; tasks begun in a request inherit them.
request_ids: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("request_ids", default={})  # noqa: B039
FIELDS = ("prediction", "method", "path", "status", "milliseconds", "code")


class JsonFormatter(logging.Formatter):
    """
    One object a line: `time, level, logger, message`, then what is known of `request_id`, `trace_id` and `FIELDS`. What
    nobody has just asked for has the request that its prediction came with.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **request_ids.get(),
        }
        request_id = getattr(record, "request_id", None)
        if request_id:
            line.setdefault("request_id", request_id)
        traceparent = getattr(record, "traceparent", None)
        if traceparent:
            line["trace_id"] = trace_id(traceparent)
        line |= {name: getattr(record, name) for name in FIELDS if getattr(record, name, None) is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up(format: Format) -> None:
    """Sends everything from INFO up to standard output."""
    logging.Formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    text = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s"
    handler.setFormatter(JsonFormatter() if format == "json" else logging.Formatter(text, "%Y-%m-%dT%H:%M:%S"))
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    # One line per callback, and uvicorn's own account of starting, would drown everything else.
    for name in ("httpx", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # People read of predictions, not of requests.
    if format == "text":
        logging.getLogger("vignette.server.http").setLevel(logging.WARNING)
