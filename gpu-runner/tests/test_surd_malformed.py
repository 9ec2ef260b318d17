"""One row that nobody could read, write or ask for is dropped with its reason; those beside it are kept."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.surd import builder, namer, picture, table, write_folder
from vignette.errors import ConfigError
from vignette.surd.build import Build
from vignette.surd.http import Client
from vignette.surd.record import LONGEST
from vignette.surd.sources.civitai import SavedPages, parse_page
from vignette.surd.sources.folder import Folder
from vignette.surd.sources.gallery import Gallery
from vignette.surd.store import Store

HALF = "a cat \ud83d"


def with_sidecar(words: dict[str, Any] | str) -> Callable[[Path], Folder]:
    def write(tmp_path: Path) -> Folder:
        folder = write_folder(tmp_path / "in", 1)
        (folder / "x.png").write_bytes(picture(9))
        (folder / "x.json").write_text(words if isinstance(words, str) else json.dumps(words))
        return Folder(folder)

    return write


def with_block(tmp_path: Path) -> Folder:
    folder = write_folder(tmp_path / "in", 1)
    (folder / "x.png").write_bytes(picture(9))
    (folder / "x.txt").write_text("a cat, " * LONGEST)
    return Folder(folder)


def with_a_name_in_latin_1(tmp_path: Path) -> Folder:
    folder = write_folder(tmp_path / "in", 1)
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")).write_bytes(picture(9))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    return Folder(folder)


def with_line(**row: str) -> Callable[[Path], Gallery]:
    def write(tmp_path: Path) -> Gallery:
        (tmp_path / "good.png").write_bytes(picture(1))
        good = {"narrative": "A dog sleeps.", "changed_into": "1dog", "image": "good.png"}
        file = tmp_path / "gallery.jsonl"
        file.write_text(f"{json.dumps(good | row)}\n{json.dumps(good)}\n")
        return Gallery(file)

    return write


def with_item(item: Any) -> Callable[[Path], SavedPages]:
    def write(tmp_path: Path) -> SavedPages:
        good = {"id": 1, "url": "https://pictures.example/1.png", "nsfwLevel": "None", "meta": {"prompt": "1cat"}}
        (tmp_path / "page.json").write_text(json.dumps({"items": [item, good]}))
        return SavedPages([tmp_path / "page.json"])

    return write


def build(output: Path, source: Any, **options: Any) -> Build:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=picture(5)))
    client = Client(["pictures.example", "h"], per_second=1000, sleep=lambda seconds: None, transport=transport)
    return builder(output, source, client=client, **options)


GOOD = {"prompt": "1dog", "text": "A dog sleeps."}


@pytest.mark.parametrize(
    ("write", "reason", "detail"),
    [
        (with_sidecar(GOOD | {"prompt": HALF}), "malformed", "`prompt` is no Unicode"),
        (with_sidecar(GOOD | {"parameters": {"sampler": HALF}}), "malformed", "`parameters` is no Unicode"),
        (with_sidecar(GOOD | {"parameters": "a string"}), "malformed", "`parameters` must be an object, not str"),
        (with_sidecar(GOOD | {"parameters": [1]}), "malformed", "`parameters` must be an object, not list"),
        (
            with_sidecar(GOOD | {"parameters": {"num_inference_steps": "few"}}),
            "malformed",
            "must be a number, not 'few'",
        ),
        (with_sidecar(GOOD | {"parameters": {"num_inference_steps": [20]}}), "malformed", "must be a number, not [20]"),
        (with_sidecar("[" * 100_000), "malformed", "x.json is no JSON"),
        (with_sidecar(GOOD | {"text": "a" * LONGEST + "a"}), "malformed", f"`text` has {LONGEST + 1} characters"),
        (with_block, "malformed", "more than"),
        (with_a_name_in_latin_1, "malformed", "`key` is no Unicode"),
        (with_line(changed_into=HALF), "malformed", "`prompt` is no Unicode"),
        (with_line(image="a\0b.png"), "no picture", "is no file's name"),
        (with_line(image="https://h:abc/x.png"), "no picture", "is no address"),
        (with_line(image="https://h/\x07.png"), "no picture", "is no address"),
        (with_line(image="https://[h/x.png"), "no picture", ""),
        (
            with_item({"id": 2, "url": "https://h/2.png", "nsfw": "None", "meta": {"prompt": HALF}}),
            "malformed",
            "`prompt`",
        ),
        (with_item({"modelVersions": ["x"]}), None, ""),
        (with_item({"modelVersions": [{"images": 7}, {"images": "ab"}]}), None, ""),
    ],
)
def test_a_row_spoils_itself_alone(
    tmp_path: Path, write: Callable[[Path], Any], reason: str | None, detail: str
) -> None:
    for _ in range(2):
        report = build(tmp_path / "surd", write(tmp_path), caption=namer(tmp_path / "log")).run()
        assert report.kept.total() == 1
        dropped = table(tmp_path / "surd/.surd/dropped.jsonl")
        assert [row["reason"] for row in dropped] == ([reason] if reason else [])
        assert all(detail in row["detail"] for row in dropped)


def test_steps_in_quotes_are_a_number(tmp_path: Path) -> None:
    words = {"prompt": "[cat:dog:10]", "text": "A dog sleeps.", "parameters": {"num_inference_steps": "50", "seed": 3}}
    assert build(tmp_path / "surd", with_sidecar(words)(tmp_path)).run().kept.total() == 2
    row = table(tmp_path / "surd/provenance.jsonl")[1]
    assert row["parameters"] == {"num_inference_steps": 50, "seed": 3}
    assert table(tmp_path / "surd/metadata.jsonl")[1]["prompt"] == "dog"


def test_steps_without_measure_do_not_end_the_build(tmp_path: Path) -> None:
    words = {"prompt": "[cat:dog:10]", "text": "A dog.", "parameters": {"num_inference_steps": int("9" * 400)}}
    assert build(tmp_path / "surd", with_sidecar(words)(tmp_path)).run().kept.total() == 2


def test_a_state_that_an_earlier_version_could_not_get_past_is_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = with_line(changed_into=HALF)(tmp_path)
    (tmp_path / "surd/.surd").mkdir(parents=True)
    store = Store(tmp_path / "surd/.surd")
    store.begin(source.name, source.signature)
    with monkeypatch.context() as earlier:
        earlier.setattr("vignette.surd.store.sound", lambda candidate: candidate)
        for page in source.read(None):
            store.add(source.name, page)
    store.close()
    report = build(tmp_path / "surd", source).run()
    assert (report.kept.total(), report.dropped) == (1, {"malformed": 1})


def test_a_folder_whose_own_name_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    try:
        write_folder(folder, 1)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(ConfigError, match=r"caf.*is not UTF-8; rename it"):
        Folder(folder)


def test_a_table_whose_text_is_not_utf_8_loses_that_row(tmp_path: Path) -> None:
    pa, pq = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    from vignette.surd.sources.parquet import Parquet

    texts = pa.array([b"A dog.", b"caf\xe9", b"A cat."], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"image": [picture(n) for n in range(3)], "text": texts}), tmp_path / "rows.parquet")
    [page] = Parquet(tmp_path / "rows.parquet", columns={}).read(None)
    assert [candidate.text for candidate in page.candidates] == ["A dog.", "", "A cat."]
    assert "utf-8" in page.candidates[1].problem


def test_a_page_of_rubbish_is_empty() -> None:
    assert parse_page({"items": [{"modelVersions": [None, "x", {"images": [7, None]}]}, 7, None]}, "page") == []


def test_a_broken_picture_may_raise_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vignette.surd import stages

    def broken(image: Any) -> Any:
        raise KeyError("a tag")

    (tmp_path / "x.png").write_bytes(picture(1))
    monkeypatch.setattr(stages, "open_upright", broken)
    assert stages.make_measure()([{"path": str(tmp_path / "x.png")}]) == [{"error": "'a tag'"}]


@pytest.mark.parametrize("name", ["imagehash", "py3langid"])
def test_what_is_not_installed_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    from vignette.cli import main

    monkeypatch.setitem(sys.modules, name, None)
    assert main(["surd", "build", str(tmp_path / "surd"), "--from-folder", "absent"]) == 2
    said = capsys.readouterr().err
    assert f"needs {name}: gpu-runner/.venv/bin/pip install -r gpu-runner/requirements-surd.txt" in said
    assert not (tmp_path / "surd").exists()
