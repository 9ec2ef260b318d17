"""Training data is read from three layouts, and whatever is wrong with it is named before anything is trained."""

from __future__ import annotations

import gzip
import json
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.tiny_training import ROWS, picture, write_imagefolder, write_shard
from vignette.errors import ConfigError
from vignette.surd import stages
from vignette.training import data
from vignette.training.data import decode, read_examples

GOOD = {"file_name": "0.png", "text": "a story", "prompt": "1cat"}


def _triples(source: Path) -> list[tuple[str, str, bytes]]:
    return sorted((e.narrative, e.keywords, e.read()) for e in read_examples(source))


def test_an_imagefolder_gives_its_triples(tmp_path: Path) -> None:
    expected = sorted((t, p, picture(i)) for i, (t, p) in enumerate(ROWS))
    assert _triples(write_imagefolder(tmp_path / "data")) == expected
    assert _triples(tmp_path / "data" / "metadata.jsonl") == expected


def test_parquet_as_datasets_writes_it(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    (tmp_path / "beside.png").write_bytes(picture(1))
    images = [{"bytes": picture(0), "path": "x.png"}, {"bytes": None, "path": "beside.png"}]
    texts = {"text": ["one", "two"], "prompt": ["1cat", "2cat"]}
    pq.write_table(pa.table({"image": images, **texts}), tmp_path / "train.parquet", row_group_size=1)
    assert _triples(tmp_path) == [("one", "1cat", picture(0)), ("two", "2cat", picture(1))]
    pq.write_table(pa.table({"image": [picture(0), picture(1)], **texts}), tmp_path / "train.parquet")
    assert _triples(tmp_path / "train.parquet") == [("one", "1cat", picture(0)), ("two", "2cat", picture(1))]


def test_parquet_without_a_column_or_a_prompt_is_named(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": [picture(0)], "caption": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=r"a\.parquet: no column text, prompt; it has image, caption"):
        read_examples(tmp_path)
    pq.write_table(
        pa.table({"image": [picture(0)] * 2, "text": ["x", "y"], "prompt": ["1cat", None]}), tmp_path / "a.parquet"
    )
    with pytest.raises(ConfigError, match=r"a\.parquet, row 2: no `prompt`"):
        read_examples(tmp_path)


def test_webdataset_shards(tmp_path: Path) -> None:
    row = json.dumps({"text": "one", "prompt": "1cat"}).encode()
    write_shard(tmp_path / "000.tar", {"a/1.png": picture(0), "a/1.json": row})
    write_shard(tmp_path / "001.tar", {"a/2.json": row, "a/2.png": picture(1)})
    assert sorted(e.read() for e in read_examples(tmp_path)) == sorted([picture(0), picture(1)])


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"1.png": picture(0)}, "000.tar, 1: a picture without 1.json"),
        ({"1.json": b"{}"}, "000.tar, 1: no `text`"),
        ({"1.json": b'{"text": "x", "prompt": "y"}'}, "000.tar, 1: 0 pictures, one is needed"),
        ({"1.json": b"{", "1.png": picture(0)}, "000.tar, 1: 1.json is not JSON"),
    ],
)
def test_a_bad_webdataset_sample_is_named(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    write_shard(tmp_path / "000.tar", members)
    with pytest.raises(ConfigError, match=message):
        read_examples(tmp_path)


def test_a_compressed_shard_is_refused(tmp_path: Path) -> None:
    file = write_shard(tmp_path / "000.tar", {"1.png": picture(0)})
    file.write_bytes(gzip.compress(file.read_bytes()))
    with pytest.raises(ConfigError, match=r"000\.tar: no uncompressed tar file"):
        read_examples(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{broken", "line 2: not JSON"),
        ("[1]", "line 2: not an object"),
        ({**GOOD, "prompt": " "}, "line 2: an empty `prompt`"),
        ({"file_name": "0.png", "prompt": "1cat"}, "line 2: no `text`"),
        ({"text": "a", "prompt": "b"}, "line 2: no `file_name`"),
        ({**GOOD, "file_name": "gone.png"}, "line 2: there is no picture 'gone.png'"),
        ({**GOOD, "file_name": "../0.png"}, "line 2: file_name '../0.png' leaves the folder"),
        ({**GOOD, "file_name": "metadata.jsonl"}, r"line 2 \(metadata.jsonl\): not a picture"),
        # What a name that cannot be one is called depends on Python.
        ({**GOOD, "file_name": "0\0.png"}, r"line 2: .*'0\\x00\.png'"),
        ({**GOOD, "file_name": "a" * 400}, "line 2: .*'a{80}'"),
        ({**GOOD, "file_name": "\ud800.png"}, r"line 2: .*'\\ud800\.png'"),
        ({**GOOD, "prompt": "\ud800"}, "line 2: `prompt` holds half a character"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_examples(write_imagefolder(tmp_path / "data", [GOOD, row]))


def test_metadata_in_other_encodings_is_named(tmp_path: Path) -> None:
    rows = [GOOD | {"text": "a café"}, "{", GOOD | {"text": "a second café"}]
    lines = "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)
    folder = write_imagefolder(tmp_path / "data")
    (folder / "metadata.jsonl").write_text(lines, encoding="latin-1")
    with pytest.raises(
        ConfigError, match="line 1: not UTF-8 (?s:.*)line 2: not JSON(?s:.*)line 3: .*save the file as UTF-8"
    ):
        read_examples(folder)
    for encoding in ("utf-16", "utf-16-le"):
        (folder / "metadata.jsonl").write_text(lines, encoding=encoding)
        with pytest.raises(
            ConfigError, match="line 1: zero bytes, as UTF-16 has them; save the file as UTF-8"
        ) as error:
            read_examples(folder)
        assert "line 2" not in str(error.value)


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path: Path) -> None:
    folder = write_imagefolder(tmp_path / "data")
    file = folder / "metadata.jsonl"
    file.write_text(file.read_text(), encoding="utf-8-sig")
    assert len(read_examples(folder)) == len(ROWS)


def test_many_problems_are_counted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 5: not JSON(?s:.)*and 3 more"):
        read_examples(write_imagefolder(tmp_path / "data", ["{"] * 8))


def test_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no rows"):
        read_examples(write_imagefolder(tmp_path / "data", []))
    with pytest.raises(ConfigError, match="There is no training data at"):
        read_examples(tmp_path / "gone")
    with pytest.raises(ConfigError, match="holds no training data"):
        read_examples(tmp_path)


@pytest.mark.parametrize("kind", ["jpg", "png", "webp", "gif", "bmp"])
def test_a_picture_cut_short_is_named(kind: str, tmp_path: Path) -> None:
    folder = write_imagefolder(tmp_path / "data", [{**GOOD, "file_name": f"0.{kind}"}])
    file = folder / f"0.{kind}"
    Image.effect_noise((64, 64), 60).convert("RGB").save(file)
    [example] = read_examples(folder)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        ConfigError, match=rf"line 1 \(0\.{kind}\): (the picture is cut off; copy|not a picture that can)"
    ):
        read_examples(folder)
    with pytest.raises(ConfigError, match=rf"line 1 \(0\.{kind}\): the picture cannot be read"):
        decode(example)


def test_pictures_are_opened_as_their_captions_saw_them(tmp_path: Path) -> None:
    folder = write_imagefolder(tmp_path / "data", [GOOD | {"file_name": name} for name in ("turned.jpg", "clear.png")])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (20, 10), "red").save(folder / "turned.jpg", exif=exif)
    Image.new("RGBA", (20, 10), (0, 0, 0, 0)).save(folder / "clear.png")
    turned, clear = map(decode, read_examples(folder))
    assert turned.size == (10, 20)
    assert (clear.mode, clear.getpixel((0, 0))) == ("RGB", (255, 255, 255))


def test_a_picture_beyond_what_the_builder_takes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_imagefolder(tmp_path / "data", [GOOD])
    for module in (data, stages):
        monkeypatch.setattr(module, "MAX_PIXELS", 100)
    out = BytesIO()
    Image.new("RGB", (11, 10)).save(out, "PNG")
    (folder / "0.png").write_bytes(out.getvalue())
    with pytest.raises(ConfigError, match=r"line 1 \(0\.png\): a picture of more than \d+ megapixels"):
        read_examples(folder)
