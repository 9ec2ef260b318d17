"""Ray Data runs the same stages to the same data set, on a local cluster of two processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.surd import builder, namer, picture, tree, write_folder
from tests.surd_models import write_blip
from vignette.errors import ConfigError
from vignette.surd.caption import caption_stage
from vignette.surd.engines import LocalEngine, RayEngine
from vignette.surd.sources.folder import Folder
from vignette.surd.stages import Row, Stage, Work

pytest.importorskip("ray", reason="Ray is an extra: requirements-surd-ray.txt")


@pytest.fixture(scope="module")
def engine() -> Iterator[RayEngine]:
    # The workers are new processes, and find the tests' stages by path.
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    engine = RayEngine(workers=2)
    yield engine
    engine.close()
    os.environ.pop("PYTHONPATH")
    if before is not None:
        os.environ["PYTHONPATH"] = before


def test_the_data_set_is_the_same(engine: RayEngine, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 7, text=False)
    (folder / "broken.png").write_bytes(picture(9)[:40])
    (folder / "copy.png").write_bytes(picture(3))
    builder(tmp_path / "local", Folder(folder), caption=namer(tmp_path / "local.log"), name="x").run()
    builder(tmp_path / "ray", Folder(folder), caption=namer(tmp_path / "ray.log"), name="x", engine=engine).run()
    assert tree(tmp_path / "ray") == tree(tmp_path / "local")
    assert sorted((tmp_path / "ray.log").read_text().split()) == sorted((tmp_path / "local.log").read_text().split())


def test_batches_come_one_by_one_each_row_once(engine: RayEngine) -> None:
    rows = [(f"key{number}", {"number": number}) for number in range(50)]
    batches = list(engine.run(Stage("test", make_double, batch_size=8), rows))
    assert len(batches) >= 50 / 8
    results = {key: row["twice"] for batch in batches for key, row in batch}
    assert results == {f"key{number}": 2 * number for number in range(50)}
    assert sum(map(len, batches)) == 50
    assert list(engine.run(Stage("test", make_double), [])) == []


def test_a_captioner_is_loaded_by_the_workers(engine: RayEngine, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 5)
    rows = [(file.name, {"path": str(file)}) for file in sorted(folder.glob("*.png"))]
    stage = caption_stage(str(write_blip(tmp_path / "blip")), max_new_tokens=8, batch_size=2)
    one, two = (dict(chain(*runs.run(stage, rows))) for runs in (LocalEngine(), engine))
    assert one == two
    assert len({row["text"] for row in two.values()}) > 1


def make_double() -> Work:
    # None in one batch and a number in the next: types that Arrow would take for one another's.
    return lambda rows: [{"twice": 2 * row["number"], "odd": None if row["number"] % 2 else 1} for row in rows]


def make_complaint(stage: str) -> Work:
    if stage == "make":
        raise ConfigError("--captioner nowhere cannot be loaded: it is not there.")

    def complain(rows: list[Row]) -> list[Row]:
        raise ConfigError("A picture cannot be read.")

    return complain


@pytest.mark.parametrize(("stage", "message"), [("make", "nowhere cannot be loaded"), ("work", "cannot be read")])
def test_a_workers_complaint_reaches_the_user(engine: RayEngine, stage: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        list(engine.run(Stage("test", make_complaint, {"stage": stage}), [("a", {})]))
