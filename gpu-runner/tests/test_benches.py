"""The benches' own code, at a fraction of their size; what they measure here means nothing."""

from __future__ import annotations

import importlib
import sys
from argparse import Namespace
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.test_engine_speed import Compiler

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
OPTIONS = Namespace(model="miniature", device="cpu", dtype=None, compile="default")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a bench by its file's name."""
    monkeypatch.syspath_prepend(str(BENCH))
    yield importlib.import_module
    for name in [name for name in sys.modules if name.startswith(("runner_", "runner-"))]:
        del sys.modules[name]


def small(common: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call of more than two pictures."""
    models = sys.modules["runner_models"]
    spec = models.read_catalogue(models.MODELS_TOML).default.model_copy(update={"max_batch": 2})
    monkeypatch.setattr(models, "read_catalogue", lambda file: type("Catalogue", (), {"default": spec}))


def test_nothing_is_compiled_while_it_is_measured(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler, common = Compiler(monkeypatch), bench("runner_common")
    small(common, monkeypatch)
    model = common.chosen_model(OPTIONS)
    assert [options["mode"] for options in compiler.asked] == [None]
    warm = set(compiler.shapes)
    assert {size for size, _, _ in warm} == {1, 2, 4}
    engine = common.Drawer(model)
    engine.draw([common.request(model, k, 2) for k in range(3)])
    assert set(compiler.shapes) == warm


def test_options_for_the_miniature_are_taken(bench: Any) -> None:
    common = bench("runner_common")
    model = common.chosen_model(Namespace(**vars(OPTIONS) | {"dtype": "bfloat16", "compile": "none"}))
    assert model.dtype is torch.bfloat16
    assert model.compiled is None


def test_a_compiled_unet_is_timed_from_outside(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock ticks whenever it is read: twice around a step, and twice around the UNet within."""
    Compiler(monkeypatch)
    tick = bench("runner-tick")
    small(sys.modules["runner_common"], monkeypatch)
    ticking, saved = count(), []
    monkeypatch.setattr(tick, "BATCHES", (1, 2))
    monkeypatch.setattr(tick, "CLOCKS", {"wall": lambda: float(next(ticking))})
    monkeypatch.setattr(tick, "save", lambda name, rows, model: saved.append((rows, model)))
    monkeypatch.setattr(tick, "plot", lambda *given: None)
    monkeypatch.setattr(
        sys, "argv", ["runner-tick.py", "--rounds", "1", "--steps", "3", "--compile", "default", "--device", "cpu"]
    )
    tick.main()
    [(rows, model)] = saved
    assert [(row["unet_ms"], row["overhead_ms"]) for row in rows] == [(1000.0, 2000.0)] * 2
    assert model.unet.forward.__func__ is type(model.unet).forward
