"""A build keeps what is good, says why the rest went, and goes on wherever it was cut off."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.surd import builder, make_namer, namer, picture, table, tree, write_folder
from vignette.errors import ConfigError
from vignette.surd.build import Build
from vignette.surd.clean import REASONS, Thresholds
from vignette.surd.engines import LocalEngine
from vignette.surd.http import Client
from vignette.surd.sources.folder import Folder
from vignette.surd.sources.gallery import Gallery
from vignette.surd.stages import Row, Stage, Work
from vignette.surd.store import Store


class Cut(BaseException):
    """Ends a build as a kill would: nothing catches it."""


def test_a_build_writes_what_the_training_script_reads(tmp_path: Path) -> None:
    report = builder(tmp_path / "surd", Folder(write_folder(tmp_path / "in", 3))).run()
    rows = table(tmp_path / "surd/metadata.jsonl")
    assert [list(row) for row in rows] == [["file_name", "text", "prompt"]] * 3
    assert rows[1]["prompt"] == "2cat, sleeping, beach background"
    assert rows[1]["text"] == "The 2 cats of my neighbour are asleep on the beach."
    assert (tmp_path / "surd" / rows[1]["file_name"]).read_bytes() == picture(1)
    provenance = table(tmp_path / "surd/provenance.jsonl")
    assert [row["file_name"] for row in provenance] == [row["file_name"] for row in rows]
    assert provenance[1]["raw_prompt"] == "2cat, (sleeping:1.2), beach background"
    assert provenance[1]["weights"] == [["sleeping", 1.2]]
    assert (report.kept.total(), report.dropped.total()) == (3, 0)


def test_datasets_reads_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets", reason="datasets is an extra: requirements-surd.txt")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    builder(tmp_path / "surd", Folder(write_folder(tmp_path / "in", 3))).run()
    loaded = datasets.load_dataset(
        "imagefolder", data_dir=str(tmp_path / "surd"), split="train", cache_dir=str(tmp_path / "cache")
    )
    # The published script takes the first column for the picture and the second for the caption.
    assert loaded.column_names == ["image", "text", "prompt"]
    assert [row["prompt"][:4] for row in loaded] == ["1cat", "2cat", "3cat"]
    assert loaded[0]["image"].size == (48, 40)


def spoiled(folder: Path) -> dict[str, str]:
    """A folder with a picture for every reason to drop one; file name -> reason."""
    write_folder(folder, 1)
    good = {"prompt": "1cat, sleeping", "text": "A cat is asleep on the soft green meadow."}
    files: dict[str, tuple[bytes, dict[str, Any], str]] = {
        "a-broken.png": (picture(11)[:60], good, "unreadable"),
        "b-text.png": (b"no picture at all", good, "unreadable"),
        "c-gif.png": (picture(12, kind="GIF"), good, "unreadable"),
        "d-small.png": (picture(13, (48, 8)), good, "too small"),
        "e-long.png": (picture(14, (200, 40)), good, "too long"),
        "f-nsfw.png": (picture(15), good | {"nsfw": "soft"}, "nsfw"),
        "g-nsfw-copy.png": (picture(15), good | {"nsfw": "none"}, "nsfw"),
        "h-empty.png": (picture(16), good | {"prompt": "<lora:x:1>, (:1.2)"}, "empty prompt"),
        "i-german.png": (
            picture(17),
            good | {"text": "Eine Katze schläft auf der grünen Wiese neben dem alten Haus."},
            "language",
        ),
        "j-copy.png": (picture(0), good, "duplicate"),
        "k-near.png": (picture(0, kind="JPEG", quality=80), good, "near duplicate"),
        "l-silent.png": (picture(18), good | {"text": ""}, "no narrative"),
        "m-good.png": (picture(19), good | {"nsfw": False}, ""),
    }
    for name, (content, words, _) in files.items():
        (folder / name).write_bytes(content)
        (folder / name).with_suffix(".json").write_text(json.dumps(words))
    (folder / "n-words.png").write_bytes(picture(20))
    (folder / "n-words.json").write_text('{"prompt": "1cat')
    return {name: reason for name, (_, _, reason) in files.items() if reason} | {"n-words.png": "malformed"}


def test_every_drop_has_its_reason(tmp_path: Path) -> None:
    expected = spoiled(tmp_path / "in")
    thresholds = Thresholds(min_side=16, language="en")
    options = {"language": "en", "captioner": None}
    report = builder(tmp_path / "surd", Folder(tmp_path / "in"), thresholds=thresholds, options=options).run()
    dropped = {row["key"]: row["reason"] for row in table(tmp_path / "surd/.surd/dropped.jsonl")}
    assert dropped == expected
    assert [row["key"] for row in table(tmp_path / "surd/provenance.jsonl")] == ["0.png", "m-good.png"]
    document = json.loads((tmp_path / "surd/report.json").read_text())
    assert document["dropped_by_reason"] == dict(Counter(expected.values()))
    assert (document["read"], document["kept"], document["dropped"]) == (15, 2, 13)
    assert set(dropped.values()) <= set(REASONS)
    markdown = (tmp_path / "surd/report.md").read_text()
    for reason in expected.values():
        assert f"| {reason} |" in markdown
    assert "48 x 8" in markdown
    assert report.examples["language"][0].startswith("i-german.png: text is de")


def test_the_card_counts_and_names_licences(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 3)
    (folder / "2.json").write_text('{"prompt": "3cat", "text": "Three cats", "license": "odd | <b>"}')
    builder(tmp_path / "surd", Folder(folder), name='My "set"').run()
    card = (tmp_path / "surd/README.md").read_text()
    assert card.startswith('---\npretty_name: "My \\"set\\""\nlicense: other\n')
    assert "size_categories:\n- n<1K\n" in card
    assert "| cc0-1.0 | 2 |" in card
    assert "| odd \\| &lt;b&gt; | 1 |" in card
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(card.split("---")[1])["task_categories"] == ["text-to-image"]


def test_captions_are_written_once_a_picture_and_only_for_those_that_stay(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 4, text=False)
    (folder / "copy.png").write_bytes(picture(0))
    (folder / "small.png").write_bytes(picture(9, (8, 8)))
    (folder / "1.json").write_text('{"prompt": "2cat", "text": "Two cats that came with a sentence."}')
    log = tmp_path / "log"
    for _ in range(2):
        builder(tmp_path / "surd", Folder(folder), caption=namer(log)).run()
    assert len(log.read_text().split()) == 3
    rows = table(tmp_path / "surd/metadata.jsonl")
    assert rows[1]["text"] == "Two cats that came with a sentence."
    assert rows[0]["text"].startswith("This is the picture that they call ")
    builder(tmp_path / "surd", Folder(folder), caption=namer(log), recaption=True).run()
    assert len(log.read_text().split()) == 4
    assert table(tmp_path / "surd/metadata.jsonl")[1]["text"].startswith("This is")


def make_scores(low: str) -> Work:
    def score(rows: list[Row]) -> list[Row]:
        return [{"cosine": 0.1 if row["text"].startswith(low) else 0.3} for row in rows]

    return score


def test_words_that_do_not_fit_are_dropped(tmp_path: Path) -> None:
    folder = Folder(write_folder(tmp_path / "in", 3))
    for option, low in (("min_clip_text", "The 2 cats"), ("min_clip_prompt", "3cat")):
        thresholds = Thresholds(min_side=16, language="any", **{option: 0.25})
        stage = Stage(f"score/{low}", make_scores, {"low": low})
        report = builder(tmp_path / "surd", folder, thresholds=thresholds, score=stage).run()
        assert report.dropped == {"clip": 1}
        assert "0.1 < 0.25" in report.examples["clip"][0]
    assert table(tmp_path / "surd/provenance.jsonl")[0]["clip_text"] == 0.3


def test_another_command_on_the_same_folder_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    output = tmp_path / "surd"
    first, second = write_folder(tmp_path / "a", 3), tmp_path / "b"
    second.mkdir()
    (second / "x.png").write_bytes(picture(50))
    (second / "x.json").write_text('{"prompt": "1dog", "text": "A dog"}')
    builder(output, Folder(first), Folder(second)).run()
    assert len(list((output / "images").iterdir())) == 4
    builder(output, Folder(second)).run()
    assert [row["prompt"] for row in table(output / "metadata.jsonl")] == ["1dog"]
    assert len(list((output / "images").iterdir())) == 1
    (first / "0.json").write_text('{"prompt": "1fox", "text": "A fox"}')
    builder(output, Folder(first)).run()
    assert [row["prompt"][:4] for row in table(output / "metadata.jsonl")] == ["1fox", "2cat", "3cat"]


def sources(tmp_path: Path) -> list[Any]:
    folder = write_folder(tmp_path / "in", 5, text=False)
    (folder / "copy.png").write_bytes(picture(2))
    gallery = tmp_path / "gallery.jsonl"
    (tmp_path / "g.png").write_bytes(picture(30))
    rows = [{"narrative": "A dog", "changed_into": "1dog", "image": name} for name in ("g.png", "absent.png")]
    gallery.write_text("\n".join(map(json.dumps, rows)))
    return [Folder(folder), Gallery(gallery)]


def test_cut_off_after_any_commit_a_build_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    """Nothing is lost, nothing is there twice, and no work that was committed is done again."""
    read = sources(tmp_path)
    commits = 0

    def count() -> None:
        nonlocal commits
        commits += 1

    builder(tmp_path / "whole", *read, caption=namer(tmp_path / "whole.log"), on_commit=count).run()
    expected = tree(tmp_path / "whole")
    captioned = sorted((tmp_path / "whole.log").read_text().split())
    assert commits > 8
    for last in range(1, commits + 1):
        left = last

        def cut() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Cut

        output, log = tmp_path / f"cut{last}", tmp_path / f"cut{last}.log"
        with pytest.raises(Cut):
            builder(output, *read, caption=namer(log), name="whole", on_commit=cut).run()
        builder(output, *read, caption=namer(log), name="whole").run()
        builder(tmp_path / "whole", *read, caption=namer(tmp_path / "again.log"), name="whole").run()
        expected = tree(tmp_path / "whole")
        assert tree(output) == expected
        assert sorted(log.read_text().split()) == captioned
    assert not (tmp_path / "again.log").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.surd import builder
from vignette.surd.sources.folder import Folder
left = int(sys.argv[3])
def cut():
    global left
    left -= 1
    if left == 0: os.kill(os.getpid(), signal.SIGKILL)
builder(Path(sys.argv[2]), Folder(Path(sys.argv[1])), name="x", on_commit=cut).run()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_process_leaves_what_the_next_goes_on_from(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 40)
    builder(tmp_path / "whole", Folder(folder), name="x").run()
    command = [sys.executable, "-c", KILLED, str(folder), str(tmp_path / "killed")]
    runner = Path(__file__).parents[1]
    killed = subprocess.run([*command, "4"], cwd=runner, env=os.environ | {"PYTHONPATH": str(runner)})
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed/metadata.jsonl").exists()
    builder(tmp_path / "killed", Folder(folder), name="x").run()
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


def test_writing_cut_off_leaves_the_old_table_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "surd"
    builder(output, Folder(write_folder(tmp_path / "a", 2)), name="x").run()
    before = tree(output)
    more = Folder(write_folder(tmp_path / "b", 5))
    real = os.replace

    def failing(source: Any, target: Any) -> None:
        if "metadata" in str(target):
            raise Cut
        real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(Cut):
        builder(output, more, name="x").run()
    assert (output / "metadata.jsonl").read_bytes() == before["metadata.jsonl"]
    assert all((output / row["file_name"]).exists() for row in table(output / "metadata.jsonl"))
    assert len(table(output / "provenance.jsonl")) in (2, 5)
    monkeypatch.setattr(os, "replace", real)
    builder(output, more, name="x").run()
    builder(tmp_path / "fresh", more, name="x").run()
    assert {name for name in tree(output) if "part" not in name} == set(tree(tmp_path / "fresh"))
    assert table(output / "metadata.jsonl") == table(tmp_path / "fresh/metadata.jsonl")


def test_one_build_at_a_time(tmp_path: Path) -> None:
    folder = Folder(write_folder(tmp_path / "in", 1))
    builder(tmp_path / "surd", folder).run()
    held = Store(tmp_path / "surd/.surd")
    try:
        with pytest.raises(ConfigError, match="Another build"):
            builder(tmp_path / "surd", folder).run()
    finally:
        held.close()
    builder(tmp_path / "surd", folder).run()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 1)
    with pytest.raises(ConfigError, match="choose an empty folder"):
        builder(folder, Folder(folder)).run()
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        builder(tmp_path / "file", Folder(folder)).run()
    state = tmp_path / "surd/.surd"
    state.mkdir(parents=True)
    (state / "state.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(ConfigError, match="no build's state"):
        builder(tmp_path / "surd", Folder(folder)).run()


def hosted(tmp_path: Path, answer: Any) -> Build:
    """A gallery whose pictures are URLs of one host."""
    rows = [
        {"narrative": f"Cat {n}", "changed_into": f"{n}cat", "image": f"https://pictures.example/original=true/{n}.png"}
        for n in range(4)
    ]
    gallery = tmp_path / "gallery.jsonl"
    if not gallery.exists():
        gallery.write_text("\n".join(map(json.dumps, rows)))
    client = Client(
        ["pictures.example"],
        per_second=1000,
        attempts=2,
        clock=lambda: 0.0,
        sleep=lambda seconds: None,
        transport=httpx.MockTransport(answer),
    )
    return builder(tmp_path / "surd", Gallery(gallery), client=client)


def test_pictures_behind_urls_are_asked_for_once(tmp_path: Path) -> None:
    asked: Counter[str] = Counter()
    ill = True

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        asked[path] += 1
        number = int(re.findall(r"(\d)\.png", path)[0])
        if number == 1 and "original=true" in path:
            return httpx.Response(404)
        if number == 2:
            return httpx.Response(410)
        if number == 3 and ill:
            return httpx.Response(503)
        return httpx.Response(200, content=picture(number))

    report = hosted(tmp_path, answer).run()
    assert report.kept.total() == 2
    assert report.waiting.total() == 1
    assert "503" in next(iter(report.waiting))
    assert "2: pictures.example answered 410" in report.examples["no picture"][0].replace("3: ", "2: ")
    ill = False
    report = hosted(tmp_path, answer).run()
    assert (report.kept.total(), report.waiting.total()) == (3, 0)
    assert asked == {
        "/original=true/0.png": 1,
        "/original=true/1.png": 1,
        "/width=1024/1.png": 1,
        "/original=true/2.png": 1,
        "/original=true/3.png": 3,
    }


def test_a_host_that_nobody_named_waits_for_being_named(tmp_path: Path) -> None:
    build = hosted(tmp_path, lambda request: httpx.Response(200, content=picture(1)))
    build.client = None
    report = build.run()
    assert report.waiting == {"pictures.example may not be asked; allow it with --image-host": 4}
    assert hosted(tmp_path, lambda request: httpx.Response(200, content=picture(1))).run().kept.total() == 1


def test_a_phones_jpeg_of_two_pictures_is_a_jpeg(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 1)
    one, two = (Image.open(io.BytesIO(picture(seed))) for seed in (5, 6))
    one.save(folder / "phone.jpg", "MPO", save_all=True, append_images=[two])
    (folder / "phone.txt").write_text("1dog")
    builder(tmp_path / "surd", Folder(folder), caption=namer(tmp_path / "log")).run()
    name = table(tmp_path / "surd/metadata.jsonl")[1]["file_name"]
    assert name.endswith(".jpg")
    assert (tmp_path / "surd" / name).read_bytes() == (folder / "phone.jpg").read_bytes()


def test_pictures_that_were_taken_out_of_the_state_are_had_anew(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 2)
    data = "data:image/png;base64," + base64.b64encode(picture(7)).decode()
    (tmp_path / "gallery.jsonl").write_text(json.dumps({"narrative": "A", "changed_into": "1dog", "image": data}))
    read = Gallery(tmp_path / "gallery.jsonl"), Folder(folder)
    builder(tmp_path / "surd", *read, caption=namer(tmp_path / "log"), recaption=True).run()
    before = tree(tmp_path / "surd")
    shutil.rmtree(tmp_path / "surd/.surd/blobs")
    shutil.rmtree(tmp_path / "surd/images")
    builder(tmp_path / "surd", *read, caption=namer(tmp_path / "again"), recaption=True).run()
    assert tree(tmp_path / "surd") == before
    assert not (tmp_path / "again").exists()


def test_a_build_needs_no_options(tmp_path: Path) -> None:
    report = Build(tmp_path / "surd", [Folder(write_folder(tmp_path / "in", 1))], LocalEngine()).run()
    assert report.dropped == {"too small": 1}
    limits = Thresholds(min_side=16)
    Build(tmp_path / "surd", [Folder(tmp_path / "in")], LocalEngine(), thresholds=limits).run()
    assert "language:" not in (tmp_path / "surd/README.md").read_text()


def test_a_stage_that_loses_rows_is_found_out(tmp_path: Path) -> None:
    stage = Stage("caption/short", make_short)
    with pytest.raises(RuntimeError, match="1 results for 2 rows"):
        builder(tmp_path / "surd", Folder(write_folder(tmp_path / "in", 2, text=False)), caption=stage).run()


def make_short() -> Work:
    return lambda rows: [{"text": "x"}]


def test_the_namer_looks_at_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    assert make_namer(str(tmp_path / "log"))([{"path": str(tmp_path / "a")}])[0]["text"].endswith("ca978112.")
