"""Of duplicates the first that is otherwise good stays, whichever that is."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.surd import builder, namer, picture, table
from vignette.surd.clean import Thresholds
from vignette.surd.dedupe import FARTHEST, NearDuplicates
from vignette.surd.sources.folder import Folder
from vignette.surd.stages import Row, Stage, Work

JPEG = picture(0, kind="JPEG", quality=80)


def written(folder: Path, *rows: tuple[bytes, dict[str, Any]]) -> Folder:
    folder.mkdir()
    for number, (content, words) in enumerate(rows):
        (folder / f"{number}.{'jpg' if content == JPEG else 'png'}").write_bytes(content)
        (folder / f"{number}.json").write_text(json.dumps({"prompt": "1cat, asleep", **words}))
    return Folder(folder)


def reasons(output: Path) -> list[str]:
    return [row["reason"] for row in table(output / ".surd/dropped.jsonl")]


def make_scores(log: str) -> Work:
    """Narratives fit as well as their last word says."""

    def score(rows: list[Row]) -> list[Row]:
        with open(log, "a", encoding="utf-8") as file:
            file.writelines("x" for _ in rows)
        return [{"cosine": 0.1 if row["text"].endswith("bad.") else 0.3} for row in rows]

    return score


def scores(log: Path) -> Stage:
    return Stage("score/last word", make_scores, {"log": str(log)}, batch_size=2)


@pytest.mark.parametrize("copy", [picture(0), JPEG])
@pytest.mark.parametrize("silent_first", [True, False])
def test_a_picture_that_is_silent_in_one_folder_is_kept_from_the_other(
    tmp_path: Path, copy: bytes, silent_first: bool
) -> None:
    silent = written(tmp_path / "silent", (copy, {}))
    told = written(tmp_path / "told", (picture(0), {"text": "A cat sleeps."}))
    sources = (silent, told) if silent_first else (told, silent)
    report = builder(tmp_path / "surd", *sources).run()
    assert report.kept.total() == 1
    assert table(tmp_path / "surd/metadata.jsonl")[0]["text"] == "A cat sleeps."
    kind = "duplicate" if copy == picture(0) else "near duplicate"
    assert reasons(tmp_path / "surd") == (["no narrative"] if silent_first else [kind])


@pytest.mark.parametrize("copies", [[picture(0)] * 3, [picture(0), JPEG, picture(0)]])
def test_words_that_do_not_fit_make_room_for_those_that_do(tmp_path: Path, copies: list[bytes]) -> None:
    words = ("A cat, bad.", "A dog, bad.", "A cat sleeps.")
    source = written(tmp_path / "in", *[(c, {"text": text}) for c, text in zip(copies, words, strict=True)])
    limits = Thresholds(min_side=16, language="any", min_clip_text=0.25)
    for _ in range(2):
        build = builder(tmp_path / "surd", source, thresholds=limits, score=scores(tmp_path / "log"))
        assert build.run().kept.total() == 1
        assert table(tmp_path / "surd/metadata.jsonl")[0]["text"] == "A cat sleeps."
        assert reasons(tmp_path / "surd") == ["clip", "clip"]
    # The three narratives and the prompt with each of the two pictures, or one; all of them once.
    assert (tmp_path / "log").read_text() == "x" * (3 + len(set(copies)))


def test_nudity_makes_room_and_its_room_is_decided_anew(tmp_path: Path) -> None:
    """The second is near the first; when that goes the second stays, and the third, a copy of the second, goes."""
    source = written(tmp_path / "in", *[(content, {}) for content in (picture(0), JPEG, JPEG, picture(1))])
    builder(tmp_path / "first", source, caption=namer(tmp_path / "log")).run()
    assert reasons(tmp_path / "first") == ["near duplicate", "near duplicate"]
    bad = Path(table(tmp_path / "first/metadata.jsonl")[0]["file_name"]).stem
    look = Stage("look/x", make_look_at, {"start": bad})
    log = tmp_path / "again.log"
    builder(tmp_path / "surd", source, look=look, caption=namer(log)).run()
    assert reasons(tmp_path / "surd") == ["nudity", "duplicate"]
    assert len(log.read_text().split()) == 2


def make_look_at(start: str) -> Work:
    return lambda rows: [{"scores": {"odd": float(Path(row["path"]).name.startswith(start))}} for row in rows]


def test_many_copies_take_few_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(picture(0), {"text": f"Cat {number}, bad."}) for number in range(12)]
    rounds: list[int] = []
    build = builder(
        tmp_path / "surd",
        written(tmp_path / "in", *rows, (picture(1), {"text": "A dog."})),
        thresholds=Thresholds(min_side=16, language="any", min_clip_text=0.25),
        score=scores(tmp_path / "log"),
    )
    judge = build._judge
    monkeypatch.setattr(build, "_judge", lambda *arguments: rounds.append(1) or judge(*arguments))
    assert build.run().dropped == {"clip": 12}
    assert len(rounds) <= 3


@pytest.mark.parametrize("distance", [0, 1, 4, FARTHEST])
def test_the_nearest_is_found_among_all(distance: int) -> None:
    rng = random.Random(distance)
    near: NearDuplicates[int] = NearDuplicates(distance)
    seen: list[int] = []
    for number in range(60):
        value = rng.getrandbits(64)
        if seen and number % 2:
            value = seen[rng.randrange(len(seen))]
            for bit in rng.sample(range(64), rng.randrange(distance + 3)):
                value ^= 1 << bit
        away = min(((value ^ other).bit_count() for other in seen), default=65)
        found = near.earlier(value)
        assert (found[1] if found else None) == (away if away <= distance else None)
        near.add(value, number)
        seen.append(value)


def test_a_distance_that_compares_each_with_every_other_is_refused() -> None:
    with pytest.raises(ValueError, match=f"0 to {FARTHEST}"):
        NearDuplicates(FARTHEST + 1)
