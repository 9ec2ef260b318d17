"""The server's process: one socket, one engine, a drain on SIGTERM, and an exit code that says how it went."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator

import torch
import uvicorn

from vignette.engine.catalogue import Catalogue
from vignette.engine.engine import Engine, State
from vignette.engine.kept import memory_profile, set_up_process
from vignette.engine.loader import pick_device
from vignette.provenance.c2pa import Signer
from vignette.server.app import build_app
from vignette.server.codes import UrlCodes
from vignette.server.journal import Journal
from vignette.server.ledger import Ledger
from vignette.server.metrics import Metrics
from vignette.server.outputs import Outputs
from vignette.server.service import PredictionService
from vignette.server.settings import Settings
from vignette.server.webhooks import WebhookSender, http_client

log = logging.getLogger(__name__)

STOP_SECONDS = 10.0
# Ctrl-C under npm comes twice: SIGINT from the terminal, and SIGTERM from the launcher that got it too.
_SAME_WISH_SECONDS = 2.0


class _Server(uvicorn.Server):
    """uvicorn would stop at once on SIGTERM; here the drain comes first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(settings: Settings, catalogue: Catalogue, signer: Signer | None, listener: socket.socket) -> int:
    """
    Serves on `listener` until SIGTERM or SIGINT; a second signal ends it without waiting, but the other of the two within two
    seconds of the first is the same wish.

    Returns:
        The exit code: 0 after a drain, 1 when the models could not be loaded or the device broke.

    Raises:
        ConfigError: There is no such device here, or the state folder is damaged or another runner's.
    """
    device, metrics = pick_device(settings.device), Metrics()
    set_up_process(settings.state)
    kept = memory_profile(settings.state)
    engine = Engine(catalogue, device, settings.max_queue, observer=metrics, memory_profile=kept)
    journal = Journal(settings.state / "journal.sqlite")
    outputs = Outputs(settings.state / "outputs")
    metrics.watch_state(lambda: engine.state)
    if device.type == "cuda":
        capacity = torch.cuda.get_device_properties(device).total_memory
        metrics.watch_memory(lambda: torch.cuda.memory_allocated(device), capacity)
    return asyncio.run(_serve(settings, engine, metrics, journal, outputs, signer, listener))


async def _serve(
    settings: Settings,
    engine: Engine,
    metrics: Metrics,
    journal: Journal,
    outputs: Outputs,
    signer: Signer | None,
    listener: socket.socket,
) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with http_client() as client:
        codes = UrlCodes(settings.token)
        sender = WebhookSender(settings.webhook_secret, client)
        ledger = Ledger(journal, outputs, sender, metrics, codes=codes, longest=settings.longest)
        service = PredictionService(engine, ledger, outputs, sender, metrics, signer=signer)
        service.restore()
        app = build_app(
            service,
            codes,
            token=settings.token,
            webhook_secret=settings.webhook_secret,
            public_url=settings.public_url,
        )
        server = _Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=3))

        first: list[tuple[int, float]] = []

        def on_signal(number: int) -> None:
            now = loop.time()
            if not first:
                first.append((number, now))
                stop.set()
                return
            ((kind, at),) = first
            if number != kind and now - at < _SAME_WISH_SECONDS:
                log.info("%s is the same wish; the drain goes on.", signal.Signals(number).name)
                return
            log.info("Second signal: stopping without waiting.")
            server.force_exit = server.should_exit = True
            main.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal, number)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        main = asyncio.create_task(_until_stopped(engine, service, settings, stop))
        code = 1
        try:
            code = await main
        except asyncio.CancelledError:
            pass
        finally:
            server.should_exit = True
            await serving
            ended = await engine.stop(patience=STOP_SECONDS)
            await service.close()
            if not ended:
                # Python would wait for the device's own clean-up, which waits for what hangs. Loading takes its time too,
                # but that is no fault.
                logging.shutdown()
                os._exit(code if engine.loading else 1)
        return code


async def _until_stopped(engine: Engine, service: PredictionService, settings: Settings, stop: asyncio.Event) -> int:
    engine.start()
    stopping = asyncio.create_task(stop.wait())
    settled = asyncio.create_task(engine.settled())
    broken = asyncio.create_task(engine.broken())
    watching = asyncio.create_task(_watch(engine, settings.stuck_seconds))
    try:
        await asyncio.wait({stopping, settled}, return_when=asyncio.FIRST_COMPLETED)
        if engine.state is State.SETUP_FAILED:
            log.error("%s", engine.setup_error)
            return 1
        if not stop.is_set():
            service.resume()
            log.info("Ready at http://%s:%d on %s.", settings.host, settings.port, engine.device)
        await asyncio.wait({stopping, broken}, return_when=asyncio.FIRST_COMPLETED)
        if engine.state is State.DEFUNCT:
            log.error("%s This process ends so that a new one can take over.", engine.setup_error)
            await service.drain(0)
            return 1
        log.info("Draining: %d requests are under way.", engine.unfinished)
        await service.drain(settings.drain_seconds)
        log.info("Drained.")
        return 0
    finally:
        for task in (stopping, settled, broken, watching):
            task.cancel()


async def _watch(engine: Engine, seconds: float) -> None:
    """A kernel that hangs raises nothing; only the clock shows that the device is gone."""
    while engine.stuck_for <= seconds:  # noqa: ASYNC110  # what hangs sets no event
        await asyncio.sleep(min(1.0, seconds / 4))
    engine.give_up(f"A step has taken more than {seconds:g} s.")
