"""What nobody rated is not taken from the web, and a detector looks at pictures where one is named."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import ModuleType

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.surd import builder, namer, picture, table, write_folder
from vignette.cli import main
from vignette.engine.safety import Detector
from vignette.surd.clean import Thresholds
from vignette.surd.http import Client
from vignette.surd.look import look_stage
from vignette.surd.sources.civitai import SavedPages
from vignette.surd.sources.folder import Folder, read_nsfw
from vignette.surd.sources.parquet import Parquet

DETECTOR = "tests.test_surd_nsfw:reddish"
looks: list[int] = []


def reddish() -> Detector:
    """A detector to which a picture is the worse the redder it is."""

    def detect(pixels: np.ndarray) -> dict[str, float]:
        assert (pixels.dtype, pixels.ndim) == (np.uint8, 3)
        looks.append(1)
        red, green = (float(pixels[..., channel].mean()) for channel in (0, 1))
        return {"red": max(0.0, red - green) / 255, "odd": 0.1}

    return detect


def broken() -> Detector:
    raise RuntimeError("its network is not there")


def tinted(seed: int, red: int) -> Image.Image:
    """`picture(seed)` with so much less of green and blue."""
    noise = np.random.default_rng(seed).integers(100, 255, (6, 6)).astype(np.uint8)
    grey = np.asarray(Image.fromarray(noise).resize((48, 40), Image.Resampling.BICUBIC))
    return Image.fromarray(np.stack([grey, *[grey - np.minimum(grey, red)] * 2], axis=-1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`clean`, `red` (0.8 of it) and `pink` (0.4)."""
    made = tmp_path / "in"
    made.mkdir()
    for seed, (name, red) in enumerate({"clean": 0, "pink": 102, "red": 204}.items()):
        tinted(seed, red).save(made / f"{name}.png")
        (made / f"{name}.json").write_text('{"prompt": "1cat, asleep"}')
    return made


def dropped(output: Path) -> dict[str, str]:
    return {row["key"]: row["reason"] for row in table(output / ".surd/dropped.jsonl")}


def page(tmp_path: Path) -> SavedPages:
    """One picture that Civitai rates and one that it does not."""
    images = [
        {
            "id": n,
            "url": f"https://image.civitai.com/t/u/width=450/{n}.png",
            "nsfwLevel": level,
            "meta": {"prompt": "a"},
        }
        for n, level in ((1, "None"), (2, None))
    ]
    (tmp_path / "page.json").write_text(json.dumps({"items": images}))
    return SavedPages([tmp_path / "page.json"])


def web(asked: list[str]) -> Client:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path[-5:])
        return httpx.Response(200, content=picture(int(request.url.path[-5])))

    transport = httpx.MockTransport(answer)
    return Client(["image.civitai.com", "example.com"], per_second=1000, sleep=lambda s: None, transport=transport)


@pytest.mark.parametrize(("choice", "taken"), [(None, ["1.png"]), (True, ["1.png"]), (False, ["1.png", "2.png"])])
def test_what_nobody_rated_is_not_even_asked_of_the_web(tmp_path: Path, choice: bool | None, taken: list[str]) -> None:
    asked: list[str] = []
    limits = Thresholds(min_side=16, language="any", drop_unrated=choice)
    build = builder(
        tmp_path / "surd", page(tmp_path), client=web(asked), thresholds=limits, caption=namer(tmp_path / "log")
    )
    report = build.run()
    assert sorted(asked) == taken
    assert report.kept.total() == len(taken)
    assert report.dropped["unrated"] == 2 - len(taken)


def test_ones_own_pictures_need_no_rating_but_addresses_in_a_table_do(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {"image": ["https://example.com/7.png"], "prompt": ["1dog"], "text": ["A dog."]}
    pq.write_table(pa.table(rows), tmp_path / "rows.parquet")
    sources = Folder(write_folder(tmp_path / "in", 2)), Parquet(tmp_path / "rows.parquet", columns={})
    report = builder(tmp_path / "surd", *sources, client=web([])).run()
    assert (report.kept.total(), report.dropped) == (2, {"unrated": 1})


def test_what_a_detector_finds_is_dropped_before_anyone_describes_it(folder: Path, tmp_path: Path) -> None:
    looks.clear()
    options = {"look": look_stage(DETECTOR), "caption": namer(tmp_path / "log")}
    builder(tmp_path / "surd", Folder(folder), **options).run()
    assert dropped(tmp_path / "surd") == {"red.png": "nudity"}
    [red] = table(tmp_path / "surd/.surd/dropped.jsonl")
    assert red["detail"].startswith("red (0.")
    assert len((tmp_path / "log").read_text().split()) == 2
    assert [row["nudity"]["odd"] for row in table(tmp_path / "surd/provenance.jsonl")] == [0.1, 0.1]

    for score, keys in ((0.3, {"red.png", "pink.png"}), (0.95, set())):
        limits = Thresholds(min_side=16, language="any", nsfw_score=score)
        builder(tmp_path / "surd", Folder(folder), thresholds=limits, **options).run()
        assert dropped(tmp_path / "surd").keys() == keys
    assert len(looks) == 3


def test_with_a_detector_unrated_pictures_of_the_web_are_looked_at(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("vignette.surd.cli._picture_client", lambda arguments: web(asked))
    surd = ["surd", "build", str(tmp_path / "surd"), "--min-side", "16", "--nsfw-detector", DETECTOR]
    page(tmp_path)
    for name in ("clean", "red"):
        (folder / f"{name}.json").write_text('{"prompt": "1cat, asleep", "text": "A cat is asleep."}')
    assert main([*surd, "--from-folder", str(folder), "--from-civitai", str(tmp_path / "page.json")]) == 0
    assert sorted(asked) == ["1.png", "2.png"]
    report = json.loads((tmp_path / "surd/report.json").read_text())
    assert report["dropped_by_reason"]["nudity"] == 1
    assert "unrated" not in report["dropped_by_reason"]
    assert (report["options"]["nsfw_detector"], report["options"]["nsfw_score"]) == (DETECTOR, 0.5)


@pytest.mark.parametrize(
    ("mark", "level"),
    [(None, None), ("", None), (math.nan, None), (0, 1), (0.0, 1), (False, 1), (True, 4), (2, 2), (4.0, 4)],
)
def test_marks_in_tables(mark: object, level: int | None) -> None:
    assert read_nsfw(mark) == level


@pytest.mark.parametrize("mark", [1, 1.0, 0.93, -1, "1", [1]])
def test_a_mark_that_may_mean_either_is_refused(mark: object) -> None:
    with pytest.raises(ValueError, match="true, false or one of none, soft, mature, x"):
        read_nsfw(mark)


@pytest.mark.parametrize("kind", ["table", "folder"])
def test_noughts_and_ones_are_not_taken_for_levels(tmp_path: Path, kind: str) -> None:
    marks = {"0.png": 0, "1.png": 1}
    if kind == "table":
        pytest.importorskip("pyarrow")
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {"prompt": ["1dog"] * 2, "text": ["A dog."] * 2, "nsfw": [0, 1]}
        pq.write_table(pa.table({"image": [picture(0), picture(1)], **columns}), tmp_path / "rows.parquet")
        source: Parquet | Folder = Parquet(tmp_path / "rows.parquet", columns={})
    else:
        made = write_folder(tmp_path / "in", 2)
        for name, mark in marks.items():
            (made / name).with_suffix(".json").write_text(json.dumps({"prompt": "1dog", "text": "A.", "nsfw": mark}))
        source = Folder(made)
    report = builder(tmp_path / "surd", source).run()
    assert (report.kept.total(), report.dropped) == (1, {"malformed": 1})
    assert "means yes in some tables" in report.examples["malformed"][0]
    assert table(tmp_path / "surd/provenance.jsonl")[0]["key"] in ("0", "0.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nsfw-detector", "nudenet"], "install gpu-runner/requirements-safety.txt"),
        (["--nsfw-detector", "no.such.module:f"], "it must be nudenet or module:factory"),
        (["--nsfw-detector", "tests.test_surd_nsfw:broken"], "its network is not there"),
        (["--nsfw-detector", DETECTOR, "--nsfw", "x"], "leave one of them out"),
    ],
)
def test_a_detector_that_cannot_serve_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setitem(sys.modules, "nudenet", None)
    folder = str(write_folder(tmp_path / "in", 1))
    assert main(["surd", "build", str(tmp_path / "surd"), "--from-folder", folder, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_nudenet_sees_the_picture_as_it_is_shown(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's surface as of version 3.4: blue first, every finding with a class of its own."""

    class NudeDetector:
        def detect(self, pixels: np.ndarray) -> list[dict[str, object]]:
            redder = float(pixels[..., 2].mean()) - float(pixels[..., 0].mean()) > 150
            return [{"class": "BUTTOCKS_EXPOSED" if redder else "FACE_FEMALE", "score": 0.9}]

    module = ModuleType("nudenet")
    module.NudeDetector = NudeDetector  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nudenet", module)
    builder(tmp_path / "surd", Folder(folder), look=look_stage("nudenet"), caption=namer(tmp_path / "log")).run()
    assert {row["key"]: row["detail"] for row in table(tmp_path / "surd/.surd/dropped.jsonl")} == {
        "red.png": "buttocks exposed (0.90)"
    }
