"""The engine behind Cog (https://github.com/replicate/cog), as Replicate's cloud runs it: `cog.yaml` names this file."""

import asyncio
import os
import shutil
import tempfile
from collections import deque
from pathlib import Path as Folder
from typing import Any

from cog import BaseRunner, Input, Path, concurrent
from pydantic import ValidationError

from vignette.cli import models_file
from vignette.engine.catalogue import read_catalogue
from vignette.engine.engine import Engine, State
from vignette.engine.events import Failed, Finished, Progress, Started
from vignette.engine.finishing import FinishedFiles, finish
from vignette.engine.kept import memory_profile, set_up_process, state_folder
from vignette.engine.loader import pick_device
from vignette.engine.request import GenerationInput, GenerationRequest
from vignette.errors import InvalidInput
from vignette.provenance.c2pa import signer_from
from vignette.server.prediction import progress_line

# Cog reads files after `run` has returned and never deletes them; these many may still be read.
KEPT_FOLDERS = 64
STUCK_SECONDS = 300.0


def lora_choice(written: str) -> dict[str, Any]:
    """`ink:0.8` as the runner's own API has it. Raises ValueError for a scale that is no number."""
    id, _, scale = written.partition(":")
    try:
        return {"id": id, "scale": float(scale or 1)}
    except ValueError:
        raise ValueError(f"loras: {written!r} should be an id with a number behind a colon, as in ink:0.8.") from None


class Runner(BaseRunner):
    """Every slot's prediction goes into the same engine, where they share UNet calls."""

    async def setup(self) -> None:
        catalogue = read_catalogue(models_file())
        self._signer = signer_from(os.environ)
        device, state = pick_device(os.environ.get("VIGNETTE_DEVICE") or "auto"), state_folder(os.environ)
        set_up_process(state)
        self._engine = Engine(catalogue, device, memory_profile=memory_profile(state))
        self._folders: deque[str] = deque()
        self._made = 0
        self._engine.start()
        if await self._engine.settled() is not State.READY:
            raise RuntimeError(self._engine.setup_error)

    def healthcheck(self) -> bool:
        return self._engine.state in (State.READY, State.BUSY) and self._engine.stuck_for < STUCK_SECONDS

    # Cog's build reads this number from the text. Beyond it a request is answered with 409, and so may one be that comes
    # just after an answer: Cog has that slot back a moment later.
    @concurrent(max=16)
    async def run(
        self,
        prompt: str = Input(description="What the picture shows, a sentence or keywords; (word:1.3) weighs."),
        negative_prompt: str | None = Input(description="What the picture should not show.", default=None),
        model: str | None = Input(description="Id of a model.", default=None),
        adapter: str | None = Input(
            description="Id of a SUR-adapter; 'default' is the model's own, null draws without one.", default="default"
        ),
        adapter_scale: float | None = Input(description="Strength of the adapter.", default=None, ge=0, le=2),
        width: int | None = Input(description="Pixels.", default=None, ge=8),
        height: int | None = Input(description="Pixels.", default=None, ge=8),
        num_inference_steps: int | None = Input(description="Denoising steps.", default=None, ge=1),
        guidance_scale: float | None = Input(description="Guidance scale.", default=None, ge=0, le=50),
        scheduler: str | None = Input(description="A diffusers scheduler's class name.", default=None),
        seed: int | None = Input(description="Image k uses seed + k.", default=None, ge=0),
        num_images: int = Input(description="How many pictures.", default=1, ge=1),
        output_format: str = Input(description="File format.", default="png", choices=["png", "jpeg", "webp"]),
        loras: list[str] = Input(  # noqa: B008  # only read
            description="Ids of the model's LoRAs, each with its scale behind a colon: ink:0.8.", default=[]
        ),
        guidance_until: float = Input(
            description="Share of the steps that are guided; below 1 it is faster and another picture.",
            default=1.0,
            ge=0,
            le=1,
        ),
        cache_interval: int = Input(
            description="Steps from one whole one to the next; above 1 it is faster and another picture (DeepCache).",
            default=1,
            ge=1,
            le=10,
        ),
        deterministic: bool = Input(description="The same bytes again on the same machine, but slower.", default=False),
    ) -> list[Path]:
        given = {name: value for name, value in locals().items() if name in GenerationInput.model_fields}
        if adapter == "default":
            del given["adapter"]
        given["loras"] = [lora_choice(written) for written in loras]
        return await self._draw(self._resolve(given))

    def _resolve(self, given: dict[str, Any]) -> GenerationRequest:
        self._made += 1
        try:
            return self._engine.resolve(GenerationInput(**given), f"cog-{self._made}")
        except InvalidInput as error:
            raise ValueError(error.message) from None
        except ValidationError as error:
            first = error.errors()[0]
            raise ValueError(f"{first['loc'][-1]}: {first['msg']}.") from None

    async def _draw(self, request: GenerationRequest) -> list[Path]:
        loop = asyncio.get_running_loop()
        accepted = started = loop.time()
        ticket = self._engine.submit(request)
        try:
            async for event in ticket:
                if isinstance(event, Started):
                    started = loop.time()
                    self.record_metric("queue_time", round(started - accepted, 6))
                    if event.understood:
                        self.record_metric("reading", event.understood.reading)
                        self.record_metric("notice", event.understood.notice)
                elif isinstance(event, Progress):
                    print(progress_line(event.step, event.steps, loop.time() - started), end="", flush=True)
                elif isinstance(event, Failed):
                    raise RuntimeError(event.message)
                elif isinstance(event, Finished):
                    return await self._hand_out(request, event)
        finally:
            ticket.cancel()  # Cog cancels by an exception; after the end this does nothing
        raise RuntimeError("The prediction was canceled.")

    async def _hand_out(self, request: GenerationRequest, event: Finished) -> list[Path]:
        model = self._engine.models[request.model]
        finished = await asyncio.to_thread(finish, model, request, event.pictures, self._signer)
        self.record_metric("steps", request.num_inference_steps)
        self.record_metric("seed", request.seed)
        self.record_metric("batch_mean", round(event.batch_mean, 2))
        self.record_metric("flagged", [reason is not None for reason in finished.flags])
        return await asyncio.to_thread(self._write, finished)

    def _write(self, finished: FinishedFiles) -> list[Path]:
        folder = tempfile.mkdtemp(prefix="vignette-")
        self._folders.append(folder)
        while len(self._folders) > KEPT_FOLDERS:
            shutil.rmtree(self._folders.popleft(), ignore_errors=True)
        for name, data in finished.files.items():
            (Folder(folder) / name).write_bytes(data)
        return [Path(f"{folder}/{name}") for name in finished.files]
