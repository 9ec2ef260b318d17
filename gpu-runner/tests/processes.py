"""`vignette serve` as a process, and somebody to tell of its callbacks."""

from __future__ import annotations

import http.server
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.serving import TOKEN
from tests.webhooks import SECRET

ROOT = Path(__file__).parent.parent
SERVER = ("-m", "vignette")


def environment(**changes: str | None) -> dict[str, str]:
    env: dict[str, str | None] = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "RUNNER_TOKEN": TOKEN,
        "RUNNER_WEBHOOK_SECRET": SECRET,
        "VIGNETTE_DEVICE": "cpu",
        **changes,
    }
    return {name: value for name, value in env.items() if value is not None}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Runner:
    """A `vignette serve` process and its lines; `state` is what a second one inherits."""

    def __init__(
        self, models: Path, state: Path, *arguments: str, port: int | None = None, program: tuple[str, ...] = SERVER
    ) -> None:
        self.port = port or free_port()
        where = ["--port", str(self.port), "--models", str(models), "--state", str(state)]
        self.process = subprocess.Popen(
            [sys.executable, *program, "serve", *where, *arguments],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []

    def wait_for(self, words: str) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.lines.append(line)
            if words in line:
                return
        pytest.fail(f"{words!r} never appeared in: {''.join(self.lines)}")

    def call(self, method: str, path: str, body: object = None, prefer: str = "respond-async") -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            json.dumps(body).encode() if body is not None else None,
            {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Prefer": prefer},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def download(self, url: str) -> bytes:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read()

    def end(self) -> tuple[int, str]:
        rest, _ = self.process.communicate(timeout=60)
        return self.process.returncode, "".join(self.lines) + rest


Start = Callable[..., Runner]


class Receiver:
    """A server that callbacks are sent to: `told` holds their bodies in order; `status` is what it answers."""

    def __init__(self) -> None:
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        self.status = 204
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/callback"

    def hear(self) -> dict[str, Any]:
        """The next callback."""
        return self.told.get(timeout=60)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def long_prediction(webhook: str) -> dict[str, Any]:
    """Fifty steps: long enough that a signal sent at its start arrives before its end."""
    input = {"prompt": "a cat", "num_inference_steps": 50, "num_images": 4, "width": 64, "height": 64}
    return {"input": input, "webhook": webhook, "webhook_events_filter": ["start", "completed"]}


def hangs_at(steps: int, first: str = "") -> str:
    """A program: `vignette`, whose device hangs in the first step of a request with so many; `first` runs before it."""
    return f"""
import time
from vignette.cli import main
from vignette.engine import stages
{first}
step = stages.denoise
def denoise(model, conditioning):
    if conditioning.rows[0].request.num_inference_steps == {steps}:
        time.sleep(3600)
    return step(model, conditioning)
stages.denoise = denoise
raise SystemExit(main())
"""
