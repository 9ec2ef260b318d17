"""Ray Data runs the same stages to the same data set, on a local cluster of two processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.surd import builder, namer, picture, tree, write_folder
from tests.surd_models import write_blip
from vignette.cli import main
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


def make_signed(log: str) -> Work:
    """Captions of which each is signed, in a file, by the process that wrote it."""

    def caption(rows: list[Row]) -> list[Row]:
        with open(log, "a", encoding="utf-8") as file:
            file.writelines(f"{os.getpid()}\n" for _ in rows)
        return [{"text": f"A picture of {os.path.getsize(row['path'])} bytes."} for row in rows]

    return caption


def test_the_command_line_takes_the_same_to_ray(
    engine: RayEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, log = write_folder(tmp_path / "in", 6, text=False), tmp_path / "log"
    stage = Stage("caption/signed", make_signed, {"log": str(log)}, batch_size=1)
    monkeypatch.setattr("vignette.surd.cli._stages", lambda arguments: (None, stage, None))
    surd = ["--from-folder", str(folder), "--min-side", "16", "--name", "x"]
    signed = []
    for kind in (["local"], ["ray", "--workers", "2"]):
        assert main(["surd", "build", str(tmp_path / kind[0]), *surd, "--engine", *kind]) == 0
        signed.append({int(line) for line in log.read_text().split()})
        log.unlink()
    assert tree(tmp_path / "ray") == tree(tmp_path / "local")
    assert signed[0] == {os.getpid()}
    assert signed[1]
    assert os.getpid() not in signed[1]


def test_without_an_address_no_cluster_of_the_environment_is_asked(
    engine: RayEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    asked: list[dict[str, object]] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **options: asked.append(options))
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    RayEngine(workers=2)
    RayEngine("auto")
    assert [options["address"] for options in asked] == ["local", "auto"]


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
