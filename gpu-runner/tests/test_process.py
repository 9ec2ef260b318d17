"""The real process: its messages, its exit codes, and what a signal does to work under way."""

from __future__ import annotations

import http.server
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.test_webhooks import SECRET

TOKEN = "a-token-for-tests-only"
ROOT = Path(__file__).parent.parent


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
    """A `vignette serve` process and its lines."""

    def __init__(self, models: Path, *arguments: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "vignette", "serve", "--port", str(self.port), "--models", str(models), *arguments],
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

    def end(self) -> tuple[int, str]:
        rest, _ = self.process.communicate(timeout=60)
        return self.process.returncode, "".join(self.lines) + rest


@pytest.fixture
def runners() -> Iterator[list[Runner]]:
    started: list[Runner] = []
    yield started
    for runner in started:
        if runner.process.poll() is None:
            runner.process.kill()
        runner.process.communicate()


@pytest.fixture
def callbacks() -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """A receiver's URL and what it was told, in order."""
    told: queue.Queue[dict[str, Any]] = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/callback", told
    server.shutdown()
    thread.join()
    server.server_close()


def long_prediction(webhook: str) -> dict[str, Any]:
    """Fifty steps: long enough that a signal sent at its start arrives before its end."""
    input = {"prompt": "a cat", "num_inference_steps": 50, "num_images": 4, "width": 64, "height": 64}
    return {"input": input, "webhook": webhook, "webhook_events_filter": ["start", "completed"]}


def test_sigterm_finishes_what_is_under_way(
    models_toml: Path, runners: list[Runner], callbacks: tuple[str, queue.Queue[dict[str, Any]]]
) -> None:
    url, told = callbacks
    runner = Runner(models_toml)
    runners.append(runner)
    runner.wait_for("Ready at http://127.0.0.1")
    assert runner.call("GET", "/readyz") == {"status": "ready"}
    runner.call("PUT", "/v1/predictions/gen_1", long_prediction(url))
    assert told.get(timeout=60)["status"] == "processing"
    runner.process.send_signal(signal.SIGTERM)
    assert told.get(timeout=60)["status"] == "succeeded"
    code, lines = runner.end()
    assert code == 0, lines
    assert "Drained" in lines
    assert "a cat" not in lines
    assert TOKEN not in lines
    assert "Traceback" not in lines


def test_a_drain_that_may_not_wait_fails_the_rest_with_a_sentence(
    models_toml: Path, runners: list[Runner], callbacks: tuple[str, queue.Queue[dict[str, Any]]]
) -> None:
    url, told = callbacks
    runner = Runner(models_toml, "--drain-seconds", "0")
    runners.append(runner)
    runner.wait_for("Ready at")
    runner.call("PUT", "/v1/predictions/gen_1", long_prediction(url))
    assert told.get(timeout=60)["status"] == "processing"
    runner.process.send_signal(signal.SIGINT)
    ended = told.get(timeout=60)
    assert (ended["status"], ended["error_code"]) == ("failed", "shutting_down")
    assert runner.end()[0] == 0


def test_a_killed_runner_leaves_its_port_and_forgets(
    models_toml: Path, runners: list[Runner], callbacks: tuple[str, queue.Queue[dict[str, Any]]]
) -> None:
    url, told = callbacks
    first = Runner(models_toml)
    runners.append(first)
    first.wait_for("Ready at")
    first.call("PUT", "/v1/predictions/gen_1", long_prediction(url))
    assert told.get(timeout=60)["status"] == "processing"
    first.process.kill()
    first.end()
    second = Runner(models_toml, port=first.port)
    runners.append(second)
    second.wait_for("Ready at")
    with pytest.raises(urllib.error.HTTPError) as error:
        second.call("GET", "/v1/predictions/gen_1")
    assert error.value.code == 404
    done = second.call("PUT", "/v1/predictions/gen_1", {"input": {"prompt": "a cat"}}, prefer="wait")
    assert done["status"] == "succeeded"


def test_a_busy_port_is_one_sentence(models_toml: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = run("serve", "--port", str(port), "--models", str(models_toml))
    assert code == 2
    assert len(said.splitlines()) == 1
    assert f"Port {port} on 127.0.0.1 is taken" in said


def test_models_that_do_not_load_end_the_process(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text('[[models]]\nid = "gone"\npath = "nowhere"\n')
    code, said = run("serve", "--port", str(free_port()), "--models", str(tmp_path / "models.toml"))
    assert code == 1
    assert "model_index.json is missing" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("RUNNER_TOKEN", None, "RUNNER_TOKEN is missing"),
        ("RUNNER_TOKEN", "short", "RUNNER_TOKEN is malformed"),
        ("RUNNER_WEBHOOK_SECRET", None, "RUNNER_WEBHOOK_SECRET is missing"),
        ("RUNNER_WEBHOOK_SECRET", "whsec_!", "RUNNER_WEBHOOK_SECRET is malformed"),
        ("RUNNER_WEBHOOK_SECRET", "c2VjcmV0", "RUNNER_WEBHOOK_SECRET is malformed"),
        ("RUNNER_PORT", "http", "RUNNER_PORT must be a number"),
        ("VIGNETTE_DEVICE", "toaster", "VIGNETTE_DEVICE"),
    ],
)
def test_a_wrong_variable_is_one_sentence(models_toml: Path, name: str, value: str | None, says: str) -> None:
    port = ["--port", str(free_port())] if name != "RUNNER_PORT" else []
    code, said = run("serve", "--models", str(models_toml), *port, **{name: value})
    assert code == 2
    assert len(said.splitlines()) == 1
    assert says in said
    assert value is None or name not in ("RUNNER_TOKEN", "RUNNER_WEBHOOK_SECRET") or value not in said


def test_models_are_listed_and_checked(models_toml: Path) -> None:
    assert run("models", "--models", str(models_toml))[1].startswith("tiny*")
    code, said = run("models", "check", "--models", str(models_toml))
    assert code == 0, said
    assert "tiny: loads and draws on cpu" in said
    code, said = run("models", "--models", str(models_toml.parent / "none.toml"))
    assert code == 2
    assert "--models" in said


def run(*arguments: str, **changes: str | None) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vignette", *arguments],
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout
