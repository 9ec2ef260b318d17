"""More models than fit: the least recently used give way, and no line waits for ever."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.conftest import Gate
from tests.drawing import Calls, assert_same, draw, request
from tests.tiny import SD15, write_model
from vignette.engine import device_thread, loader
from vignette.engine.catalogue import Catalogue, Defaults, Limits, MemorySpec, ModelSpec
from vignette.engine.components import Components
from vignette.engine.core import EngineCore
from vignette.engine.engine import Engine, State
from vignette.engine.events import Event, Failed, Finished
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.shelf import ModelGone, Shelf
from vignette.errors import ConfigError

CPU = torch.device("cpu")


class Loads(Calls):
    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def model_loaded(self, model: str, seconds: float) -> None:
        self.loaded.append(model)


class Paper:
    """A model that has a size and no weights."""

    def __init__(self, id: str, size: int) -> None:
        self.spec, self.weight_bytes, self.here = SimpleNamespace(id=id), size, True
        self.fault: Exception | None = None

    def drop_weights(self) -> None:
        self.here = False

    def read_weights(self) -> None:
        if self.fault is not None:
            raise self.fault

    def put_weights(self, found: None) -> None:
        self.here = True


class Disk:
    """Reads at once, or what is asked of it waits until it goes on."""

    def __init__(self) -> None:
        self.hangs = False
        self.asked: list[Callable[[], None]] = []

    def __call__(self, run: Callable[[], None]) -> None:
        if self.hangs:
            self.asked.append(run)
        else:
            run()

    def go_on(self) -> None:
        asked, self.asked, self.hangs = self.asked, [], False
        for run in asked:
            run()


class Papers:
    """A shelf for 10 bytes; `at` is the time."""

    def __init__(self, **sizes: int) -> None:
        self.at, self.disk, self.news = 0.0, Disk(), 0
        self.shelf = Shelf(10, Loads(), patience=5, clock=lambda: self.at, start=self.disk, news=self._hear)
        self.models: dict[str, Any] = {id: Paper(id, size) for id, size in sizes.items()}
        for model in self.models.values():
            self.shelf.add(model)

    def provide(self, wanted: str, busy: str = "") -> str:
        """Who is there afterwards and takes new work."""
        self.shelf.provide([self.models[id] for id in wanted], busy)
        return "".join(id for id in self.models if self.shelf.is_open(id))

    def _hear(self) -> None:
        self.news += 1

    @property
    def here(self) -> str:
        return "".join(id for id, model in self.models.items() if model.here)


def test_those_used_longest_ago_give_way() -> None:
    papers = Papers(a=4, b=4, c=4)
    assert papers.here == "bc"
    papers.shelf.used("b")
    assert papers.provide("a") == "ab"
    assert papers.here == "ab"
    assert papers.provide("ab") == "ab"


def test_the_busy_do_not_give_way_before_their_time() -> None:
    papers = Papers(a=6, b=6)
    assert papers.provide("ab", busy="b") == "b"
    papers.at = 4.9
    assert papers.provide("ab", busy="b") == "b"
    papers.at = 5
    assert papers.provide("ab", busy="b") == ""  # it finishes, and begins nothing new
    assert papers.here == "b"
    assert papers.provide("ab", busy="b") == ""
    assert papers.provide("ab") == "a"
    assert papers.provide("b", busy="a") == "a"  # and now the other one waits
    papers.at = 11
    assert papers.provide("b", busy="a") == ""


def test_whoever_waits_no_longer_closes_nobody() -> None:
    papers = Papers(a=6, b=6)
    papers.provide("a", busy="b")
    papers.at = 6
    assert papers.provide("a", busy="b") == ""
    assert papers.provide("", busy="b") == "b"
    papers.at = 7
    assert papers.provide("a", busy="b") == "b"  # its patience begins anew


def test_only_as_many_close_as_are_in_the_way() -> None:
    papers = Papers(a=3, b=3, c=3, d=3)
    papers.provide("a", busy="bcd")
    papers.at = 6
    assert papers.provide("a", busy="bcd") == "cd"
    assert papers.provide("a", busy="cd") == "acd"


def test_idle_models_stay_where_their_going_would_not_help() -> None:
    papers = Papers(a=9, b=2, c=6)
    assert papers.provide("a", busy="c") == "bc"
    assert papers.here == "bc"


def test_a_model_beyond_the_budget_is_named() -> None:
    with pytest.raises(ConfigError, match=r"The model a .*memory\.budget_mib"):
        Papers(a=11)


def test_nobody_gives_way_before_the_other_is_read() -> None:
    papers = Papers(a=6, b=6)
    papers.disk.hangs = True
    assert papers.provide("a") == "b"
    assert papers.shelf.is_reading
    papers.at = 60
    assert papers.provide("a", busy="b") == "b"
    papers.disk.go_on()
    assert papers.news == 1
    assert papers.shelf.has_news
    assert papers.provide("a", busy="b") == ""  # its patience is over
    assert papers.provide("a") == "a"
    assert not papers.shelf.has_news


def test_one_model_is_read_at_a_time() -> None:
    papers = Papers(a=4, b=4, c=4, d=4)
    papers.disk.hangs = True
    for wanted in ("a", "ab", "b"):  # a is not wanted any more
        papers.provide(wanted)
        assert len(papers.disk.asked) == 1
    papers.disk.go_on()
    assert papers.provide("b") == "bd"
    assert papers.here == "bd"


def test_what_was_read_for_nobody_is_let_go() -> None:
    papers = Papers(a=6, b=6)
    papers.disk.hangs = True
    papers.provide("a")
    papers.disk.go_on()
    assert papers.provide("") == "b"
    assert not papers.shelf.has_news


def test_nobody_gives_way_to_a_model_that_cannot_be_read() -> None:
    papers = Papers(a=6, b=6)
    papers.models["a"].fault = OSError("the disk is gone")
    with pytest.raises(ModelGone, match="a"):
        papers.provide("a")
    assert papers.here == "b"
    papers.models["a"].fault = torch.AcceleratorError("CUDA error: an illegal memory access", 700)
    with pytest.raises(torch.AcceleratorError):
        papers.provide("a")
    papers.models["a"].fault = None
    assert papers.provide("a") == "a"


@pytest.fixture
def two(model_folder: Path, tmp_path: Path) -> dict[str, LoadedModel]:
    """Two models of the same size with different weights."""
    other = write_model(tmp_path / "other", scheduler=SD15, seed=7)
    folders = {"a": model_folder, "b": other}
    return {id: load_model(ModelSpec(id=id, path=path), CPU, returns=True) for id, path in folders.items()}


def test_others_give_way_before_a_model_comes_to_the_device(
    two: dict[str, LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both at once would not have fitted for a moment either."""
    shelf = Shelf(two["a"].weight_bytes, Loads())
    shelf.add(two["a"])
    there: list[bool] = []
    original = loader.load_components

    def components(spec: ModelSpec, dtype: torch.dtype) -> Components:
        found = original(spec, dtype)
        move = found.parts["unet"].to
        found.parts["unet"].to = lambda *args, **rest: (there.append(two["a"].weights.are_here), move(*args, **rest))[1]
        return found

    monkeypatch.setattr(loader, "load_components", components)
    load_model(two["b"].spec, CPU, expect=partial(shelf.expect, "b"))
    assert there[0] is False


def test_a_model_beyond_the_budget_does_not_come_to_the_device(
    two: dict[str, LoadedModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "speed_up", lambda parts, spec: pytest.fail("it was loaded all the same"))
    with pytest.raises(ConfigError, match=r"The model b .*memory\.budget_mib"):
        load_model(two["b"].spec, CPU, expect=partial(Shelf(1000, Loads()).expect, "b"))


class Crowded:
    """A core over `two`, of which one fits."""

    def __init__(self, two: dict[str, LoadedModel], patience: float = 0.0) -> None:
        self.events: dict[str, list[Event]] = {}
        self.loads, self.disk = Loads(), Disk()
        shelf = Shelf(max(model.weight_bytes for model in two.values()), self.loads, patience, start=self.disk)
        for model in two.values():
            shelf.add(model)
        self.core = EngineCore(
            two, lambda id, e: self.events.setdefault(id, []).append(e), observer=self.loads, shelf=shelf
        )

    def run(self, each: Callable[[], None] = lambda: None) -> None:
        while not self.core.idle:
            self.core.tick()
            each()


def test_models_take_turns_and_draw_what_they_draw_alone(two: dict[str, LoadedModel]) -> None:
    requests = [request(f"{id}{k}", model=id, seed=k) for k in range(3) for id in two]
    alone = {id: draw(model, *(r for r in requests if r.model == id)) for id, model in two.items()}
    crowded = Crowded(two)

    def one_at_most() -> None:
        assert sum(model.weights.are_here for model in two.values()) <= 1

    for r in requests:
        crowded.core.submit(r)
    crowded.run(one_at_most)
    for r in requests:
        last = crowded.events[r.id][-1]
        assert isinstance(last, Finished), last
        assert_same(last.pictures, alone[r.model].pictures(r.id))
    # Each was brought in once: what is in line for a model is drawn together.
    assert crowded.loads.loaded == ["a", "b"]


def test_what_is_under_way_is_finished_before_its_model_gives_way(two: dict[str, LoadedModel]) -> None:
    crowded = Crowded(two)
    crowded.core.submit(request("b0", model="b", num_inference_steps=20))
    crowded.core.tick()
    crowded.core.submit(request("a0", model="a"))
    later: Iterator[int] = iter(range(1, 4))

    def more_for_b() -> None:
        number = next(later, None)
        if number is not None:
            crowded.core.submit(request(f"b{number}", model="b"))

    crowded.run(more_for_b)
    order = [id for id, events in crowded.events.items() if isinstance(events[-1], Finished)]
    assert set(order) == {"a0", "b0", "b1", "b2", "b3"}
    assert crowded.loads.loaded == ["a", "b"]  # b gave way once, after what it had begun, and came back


def test_others_draw_on_while_a_model_is_read(two: dict[str, LoadedModel]) -> None:
    crowded = Crowded(two)
    crowded.disk.hangs = True
    crowded.core.submit(request("b0", model="b", num_inference_steps=8))
    crowded.core.submit(request("a0", model="a"))
    crowded.core.submit(request("b1", model="b"))
    while not all(isinstance(crowded.events.get(id, [None])[-1], Finished) for id in ("b0", "b1")):
        assert not crowded.core.rests
        crowded.core.tick()
    assert "a0" not in crowded.events
    assert crowded.core.rests  # there is nothing to do before it is read
    crowded.disk.go_on()
    assert not crowded.core.rests
    crowded.run()
    assert isinstance(crowded.events["a0"][-1], Finished)
    assert crowded.loads.loaded == ["a"]


def test_files_that_have_changed_are_not_drawn_with(
    two: dict[str, LoadedModel], model_folder: Path, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(model_folder, tmp_path / "moved"))
    two["a"] = load_model(ModelSpec(id="a", path=moved), CPU, returns=True)
    crowded = Crowded(two)
    weights = moved / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    os.utime(weights, ns=(1, 1))
    for r in (request("a0", model="a"), request("b0", model="b")):
        crowded.core.submit(r)
    crowded.run()
    failed = crowded.events["a0"][-1]
    assert isinstance(failed, Failed)
    assert failed.code == "model_unavailable"
    assert str(tmp_path) not in failed.message
    assert isinstance(crowded.events["b0"][-1], Finished)


@pytest.mark.anyio
async def test_the_engine_keeps_to_the_catalogue_s_budget(model_folder: Path, gate: Gate) -> None:
    small: dict[str, Any] = {"defaults": Defaults(width=64, height=64), "limits": Limits(min_width=16, min_height=16)}
    specs = tuple(ModelSpec(id=id, path=model_folder, default=id == "a", **small) for id in ("a", "b", "c"))
    engine = Engine(Catalogue(models=specs, memory=MemorySpec(budget_mib=1)), CPU, observer=gate)
    engine.start()
    assert await engine.settled() is State.READY
    size = engine.models["c"].weight_bytes
    present = sum(model.weights.are_here for model in engine.models.values())
    assert present * size <= 1 << 20 < (present + 1) * size or present == 3
    for id in ("a", "b", "c"):
        assert (await engine.submit(request(id, model=id)).result()).pictures
    await engine.stop()


@pytest.mark.anyio
async def test_weights_are_read_on_a_thread_of_their_own(
    model_folder: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is at it, the device's thread draws with another model, and is not taken to be stuck."""
    small: dict[str, Any] = {"defaults": Defaults(width=64, height=64), "limits": Limits(min_width=16, min_height=16)}
    specs = tuple(ModelSpec(id=id, path=model_folder, default=id == "a", **small) for id in ("a", "b"))
    size = load_model(specs[0], CPU).weight_bytes
    readers: list[str] = []
    goes_on = threading.Event()
    read = LoadedModel.read_weights

    def slow(model: LoadedModel) -> Any:
        readers.append(threading.current_thread().name)
        goes_on.wait(60)
        return read(model)

    monkeypatch.setattr(LoadedModel, "read_weights", slow)
    monkeypatch.setattr(device_thread, "Shelf", lambda _, observer, **rest: Shelf(size * 3 // 2, observer, **rest))
    engine = Engine(Catalogue(models=specs, memory=MemorySpec(budget_mib=1)), CPU, observer=gate)
    engine.start()
    assert await engine.settled() is State.READY
    away = next(id for id, model in engine.models.items() if not model.weights.are_here)
    other = next(id for id in engine.models if id != away)
    late = engine.submit(request("late", model=away))
    for number in range(3):
        assert (await engine.submit(request(str(number), model=other)).result()).pictures
    assert readers == ["weights"]
    goes_on.set()
    assert (await late.result()).pictures
    await engine.stop()


@pytest.mark.anyio
async def test_the_engine_makes_room_while_it_starts(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected: list[str] = []
    monkeypatch.setattr(device_thread.Shelf, "expect", lambda shelf, id, needed: expected.append(id))
    small: dict[str, Any] = {"defaults": Defaults(width=64, height=64), "limits": Limits(min_width=16, min_height=16)}
    engine = Engine(Catalogue(models=(ModelSpec(id="a", path=model_folder, **small),)), CPU)
    engine.start()
    assert await engine.settled() is State.READY
    await engine.stop()
    assert expected == ["a", "a"]  # before it came to the device, and with all that belongs to it
