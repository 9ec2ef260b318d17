"""The same engine behind Cog's own server (`python -m cog.server.http`)."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from tests.drawing import assert_same, draw, request
from tests.processes import ROOT, Receiver, environment, free_port
from tests.test_engine_lora import write_lora
from tests.tiny import write_models_toml
from vignette.engine.catalogue import LoraSpec, ModelSpec
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.request import GenerationInput

SLOTS = 16
INPUT = {"prompt": "two purple cats", "seed": 3, "num_inference_steps": 5, "adapter": None}


class CogServer:
    def __init__(self, models: Path, log: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        env = environment(
            PORT=str(port),
            # What `cog build` writes into the image.
            COG_PREDICT_TYPE_STUB=f"{ROOT / 'predict.py'}:Runner",
            COG_MAX_CONCURRENCY=str(SLOTS),
            VIGNETTE_MODELS=str(models),
            # The worker is whatever is called python there.
            PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        )
        self._log = log.open("w")
        command = [sys.executable, "-m", "cog.server.http", "--host", "127.0.0.1"]
        self.process = subprocess.Popen(
            command, env=env, cwd=log.parent, stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True
        )

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, Any]]:
        asked = urllib.request.Request(
            self.url + path,
            json.dumps(body).encode() if body is not None else None,
            {"Content-Type": "application/json", **headers},
            method=method,
        )
        try:
            with urllib.request.urlopen(asked, timeout=120) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def predict(self, **changes: object) -> dict[str, Any]:
        """Asks again at 409: Cog answers before it has the slot back, so the next to come may find every slot taken."""
        deadline = time.monotonic() + 60
        while True:
            status, done = self.call("POST", "/predictions", {"input": INPUT | changes})
            if status != 409 or time.monotonic() > deadline:
                return done
            time.sleep(0.05)

    def health(self) -> str:
        try:
            return self.call("GET", "/health-check")[1]["status"]
        except OSError:
            return "not listening"

    def end(self) -> None:
        # With its worker. Asked politely it takes ten seconds, in which there is nothing to see.
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        self._log.close()


@pytest.fixture(scope="module")
def with_lora(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    file = write_lora(tmp_path_factory.mktemp("loras") / "ink.safetensors", "peft")
    return load_model(
        ModelSpec(id="tiny", path=model_folder, loras=(LoraSpec(id="ink", path=file),)), torch.device("cpu")
    )


@pytest.fixture(scope="module")
def cog(
    model_folder: Path, adapter_folder: Path, with_lora: LoadedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[CogServer]:
    folder = tmp_path_factory.mktemp("cog")
    lora = f'[[models.loras]]\nid = "ink"\npath = "{with_lora.spec.loras[0].path}"'
    log = folder / "log"
    server = CogServer(write_models_toml(folder, model_folder, adapter_folder, more=lora), log)
    try:
        deadline = time.monotonic() + 120
        while (state := server.health()) in ("not listening", "STARTING") and time.monotonic() < deadline:
            time.sleep(0.1)
        assert state == "READY", log.read_text()
        yield server
    finally:
        server.end()


def pixels(prediction: dict[str, Any]) -> list[np.ndarray]:
    assert prediction["status"] == "succeeded", prediction
    files = [base64.b64decode(url.partition(",")[2]) for url in prediction["output"]]
    return [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]


def test_the_engine_s_pictures_with_their_metrics(cog: CogServer, model: LoadedModel) -> None:
    done = cog.predict(num_images=2)
    assert_same(pixels(done), draw(model, request(prompt="two purple cats", num_images=2)).pictures())
    metrics = done["metrics"]
    assert (metrics["steps"], metrics["seed"], metrics["flagged"]) == (5, 3, [False, False])
    assert metrics["queue_time"] >= 0
    assert done["logs"].splitlines()[-1].startswith("100%|##########| 5/5")


def test_an_adapter_is_the_model_s_own_unless_it_is_none(cog: CogServer, model: LoadedModel) -> None:
    own = {name: value for name, value in INPUT.items() if name != "adapter"}
    done = cog.call("POST", "/predictions", {"input": own})[1]
    same = request(prompt="two purple cats", adapter="sur")
    assert_same(pixels(done), draw(model, same).pictures())
    assert not np.array_equal(pixels(done)[0], pixels(cog.predict())[0])


def test_loras_by_id_and_scale(cog: CogServer, with_lora: LoadedModel) -> None:
    for written, scale in (("ink", 1.0), ("ink:-0.5", -0.5)):
        same = request(prompt="two purple cats", loras=(("ink", scale),))
        assert_same(pixels(cog.predict(loras=[written])), draw(with_lora, same).pictures())


def test_slots_share_unet_calls(cog: CogServer) -> None:
    with ThreadPoolExecutor(SLOTS) as pool:
        done = list(pool.map(lambda k: cog.predict(seed=k, num_inference_steps=50), range(SLOTS)))
    assert [one.get("status") for one in done] == ["succeeded"] * SLOTS, [one.get("error") for one in done]
    # Alone, every call would hold one row; how many come in time to share one is the machine's affair.
    assert max(one["metrics"]["batch_mean"] for one in done) > 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"width": 33}, "multiple of 8"),
        ({"adapter": "other"}, "sur"),
        ({"scheduler": "Other"}, "DDIMScheduler"),
        ({"prompt": ""}, "empty"),
        ({"num_inference_steps": 0}, "num_inference_steps"),
        ({"loras": ["other:0.5"]}, "has no LoRA 'other'"),
        ({"loras": ["ink:much"]}, "as in ink:0.8"),
        ({"loras": ["ink:9"]}, "less than or equal to 2"),
    ],
)
def test_bad_input_is_a_sentence(cog: CogServer, change: dict[str, object], says: str) -> None:
    failed = cog.predict(**change)
    assert says in json.dumps(failed), failed
    assert failed.get("status", "failed") == "failed"
    assert "Traceback" not in json.dumps(failed)


def test_a_cancel_frees_the_slot_and_the_device(cog: CogServer, receiver: Receiver) -> None:
    long = INPUT | {"num_inference_steps": 50, "num_images": 4, "width": 64, "height": 64}
    body = {"input": long, "webhook": receiver.url, "webhook_events_filter": ["logs", "completed"]}
    status, _ = cog.call("PUT", "/predictions/long", body, Prefer="respond-async")
    assert status == 202
    # Cog 0.23 calls a cancel that finds the coroutine on its way into the loop a failure; a line of progress says it is there.
    assert receiver.hear()["status"] == "processing"
    assert cog.call("POST", "/predictions/long/cancel")[0] == 200
    while (told := receiver.hear())["status"] == "processing":
        pass
    assert told["status"] == "canceled"
    assert cog.predict()["status"] == "succeeded"


def test_webhooks_tell_the_end(cog: CogServer, receiver: Receiver) -> None:
    body = {"input": INPUT, "webhook": receiver.url, "webhook_events_filter": ["completed"]}
    assert cog.call("PUT", "/predictions/told", body, Prefer="respond-async")[0] == 202
    told = receiver.hear()
    assert (told["id"], told["status"]) == ("told", "succeeded")
    assert pixels(told)


def test_the_inputs_are_the_runner_s() -> None:
    """What Cog's build reads of predict.py; `locals()` in it relies on the names."""
    from predict import Runner

    inputs = set(signature(Runner.run).parameters) - {"self"}
    assert inputs <= set(GenerationInput.model_fields)
    assert set(GenerationInput.model_fields) - inputs == {"preview_every"}
    assert Runner.run.__cog_concurrent_max__ == SLOTS  # type: ignore[attr-defined]


class Kept(Exception):
    """In the place of an engine that starts: with what it would have been."""


@pytest.mark.anyio
async def test_a_start_keeps_what_the_server_s_keeps(
    models_toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import predict

    def engine(*_: object, **given: object) -> None:
        raise Kept(given)

    monkeypatch.setattr(predict, "Engine", engine)
    monkeypatch.setattr(sys, "setswitchinterval", lambda seconds: None)
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, "")  # to be as it was after the test
        monkeypatch.delenv(name)
    env = {"VIGNETTE_STATE": str(tmp_path), "VIGNETTE_MODELS": str(models_toml), "VIGNETTE_DEVICE": "cpu"}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Kept) as kept:
        await predict.Runner().setup()
    assert kept.value.args[0]["memory_profile"] == tmp_path / "runner" / "memory.json"
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "runner" / "compiled")
    assert os.environ["TRITON_CACHE_DIR"] == str(tmp_path / "runner" / "triton")


def test_the_configuration_names_what_is_there() -> None:
    config = yaml.safe_load((ROOT / "cog.yaml").read_text())
    file, name = config["run"].split(":")
    assert f"class {name}(BaseRunner)" in (ROOT / file).read_text()
    pinned = (ROOT / config["build"]["python_requirements"]).read_text().splitlines()
    assert pinned[1:] == ["torch==2.13.0", *requirements("requirements.txt"), *requirements("requirements-c2pa.txt")]


def requirements(file: str) -> list[str]:
    """What Cog installs, for its Python 3.11, in one list: it follows no `-r`."""
    lines = [line.split(" ; ") for line in (ROOT / file).read_text().splitlines() if line[0] not in "#-"]
    return [line[0] for line in lines if len(line) == 1 or ">=" in line[1]]
