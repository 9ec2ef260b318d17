"""A process that is killed or hangs: nothing that it had accepted is silently gone."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from tests.drawing import assert_same, draw, request
from tests.processes import Receiver, Start, hangs_at
from vignette.engine.loader import LoadedModel

CROWD = 32


def test_killed_in_the_middle_of_thirty_two_each_comes_to_its_end(
    start: Start, receiver: Receiver, model: LoadedModel
) -> None:
    first = start()
    first.wait_for("Ready at")
    inputs = {
        # Different lengths: some are done, some under way and some in line when the process dies.
        f"gen_{k}": {"prompt": "a cat", "num_inference_steps": 4 + k, "seed": k, "adapter": None}
        for k in range(CROWD)
    }
    for id, input in inputs.items():
        body = {"input": input, "webhook": receiver.url, "webhook_events_filter": ["completed"]}
        first.call("PUT", f"/v1/predictions/{id}", body)
    told = [receiver.hear() for _ in range(3)]
    first.process.kill()
    first.end()
    second = start(port=first.port)
    second.wait_for("Ready at")
    while {one["id"] for one in told} != set(inputs):
        told.append(receiver.hear())
    assert {one["status"] for one in told} == {"succeeded"}
    undisturbed = draw(model, *(request(id, **input) for id, input in inputs.items()))
    for id in inputs:
        now = second.call("GET", f"/v1/predictions/{id}")
        assert now["status"] == "succeeded"
        picture = np.asarray(Image.open(io.BytesIO(second.download(now["output"][0]))))
        assert_same([picture], undisturbed.pictures(id))


def test_a_device_that_hangs_is_noticed(start: Start, receiver: Receiver) -> None:
    runner = start("--stuck-seconds", "0.5", program=("-c", hangs_at(13)))
    runner.wait_for("Ready at")
    body = {"input": {"prompt": "a cat", "num_inference_steps": 13}, "webhook": receiver.url}
    runner.call("PUT", "/v1/predictions/gen_1", body | {"webhook_events_filter": ["completed"]})
    told = receiver.hear()
    assert (told["status"], told["error_code"]) == ("failed", "runner_defunct")
    code, lines = runner.end()
    assert code == 1
    assert "A step has taken more than 0.5 s" in lines
