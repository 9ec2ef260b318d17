"""The real process: its messages, its exit codes, and what a signal does to work under way."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import Receiver, Start, environment, free_port, hangs_at, long_prediction
from tests.serving import TOKEN


def test_sigterm_finishes_what_is_under_way(start: Start, receiver: Receiver) -> None:
    runner = start()
    runner.wait_for("Ready at http://127.0.0.1")
    assert runner.call("GET", "/readyz") == {"status": "ready"}
    runner.call("PUT", "/v1/predictions/gen_1", long_prediction(receiver.url))
    assert receiver.hear()["status"] == "processing"
    runner.process.send_signal(signal.SIGTERM)
    assert receiver.hear()["status"] == "succeeded"
    code, lines = runner.end()
    assert code == 0, lines
    assert "Drained" in lines
    assert "a cat" not in lines
    assert TOKEN not in lines
    assert "Traceback" not in lines


def test_a_drain_that_may_not_wait_fails_the_rest_with_a_sentence(start: Start, receiver: Receiver) -> None:
    runner = start("--drain-seconds", "0")
    runner.wait_for("Ready at")
    runner.call("PUT", "/v1/predictions/gen_1", long_prediction(receiver.url))
    assert receiver.hear()["status"] == "processing"
    runner.process.send_signal(signal.SIGINT)
    ended = receiver.hear()
    assert (ended["status"], ended["error_code"]) == ("failed", "shutting_down")
    assert runner.end()[0] == 0


# Models that take for ever to load; the process waits half a second for them.
LOADS = """
import time
from vignette.cli import main
from vignette.engine import device_thread
from vignette.server import run
run.STOP_SECONDS = 0.5
def load_model(*given, **rest):
    print("Loading.", flush=True)
    time.sleep(3600)
device_thread.load_model = load_model
raise SystemExit(main())
"""


def test_a_stop_while_the_models_load_is_no_failure(start: Start) -> None:
    runner = start(program=("-c", LOADS))
    runner.wait_for("Loading.")
    runner.process.send_signal(signal.SIGTERM)
    code, lines = runner.end()
    assert code == 0, lines
    assert "Drained" in lines
    assert "Traceback" not in lines


def test_a_second_signal_ends_a_drain_and_loses_nothing(start: Start, receiver: Receiver) -> None:
    impatient = hangs_at(50, "from vignette.server import run; run.STOP_SECONDS = 0.5")
    runner = start("--drain-seconds", "3600", program=("-c", impatient))
    runner.wait_for("Ready at")
    runner.call(
        "PUT", "/v1/predictions/gen_1", long_prediction(receiver.url) | {"webhook_events_filter": ["completed"]}
    )
    # As Ctrl-C comes through npm: one wish, told twice.
    runner.process.send_signal(signal.SIGTERM)
    runner.process.send_signal(signal.SIGINT)
    runner.wait_for("is the same wish")
    runner.process.send_signal(signal.SIGTERM)
    code, lines = runner.end()
    assert code == 1, lines
    assert "Second signal" in lines
    assert "Traceback" not in lines
    again = start()
    again.wait_for("Ready at")
    told = receiver.hear()
    assert (told["id"], told["status"]) == ("gen_1", "succeeded")


def test_a_busy_port_is_one_sentence(models_toml: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = run(tmp_path, "serve", "--port", str(port), "--models", str(models_toml))
    assert code == 2
    assert len(said.splitlines()) == 1
    assert f"Port {port} on 127.0.0.1 is taken" in said


def test_models_that_do_not_load_end_the_process(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text('[[models]]\nid = "gone"\npath = "nowhere"\n')
    code, said = run(tmp_path, "serve", "--port", str(free_port()), "--models", str(tmp_path / "models.toml"))
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
def test_a_wrong_variable_is_one_sentence(
    models_toml: Path, tmp_path: Path, name: str, value: str | None, says: str
) -> None:
    port = ["--port", str(free_port())] if name != "RUNNER_PORT" else []
    code, said = run(tmp_path, "serve", "--models", str(models_toml), *port, **{name: value})
    assert code == 2
    assert len(said.splitlines()) == 1
    assert says in said
    assert value is None or name not in ("RUNNER_TOKEN", "RUNNER_WEBHOOK_SECRET") or value not in said


def test_models_are_listed_and_checked(models_toml: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "models", "--models", str(models_toml))[1].startswith("tiny*")
    code, said = run(tmp_path, "models", "check", "--models", str(models_toml))
    assert code == 0, said
    assert "tiny: loads and draws on cpu" in said
    code, said = run(tmp_path, "models", "--models", str(models_toml.parent / "none.toml"))
    assert code == 2
    assert "--models" in said


def run(state: Path, *arguments: str, **changes: str | None) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "vignette", *arguments],
        env=environment(VIGNETTE_STATE=str(state), **changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout
