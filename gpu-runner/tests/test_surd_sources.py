"""Sources yield the same candidates at every reading, page by page, and name the file and the remedy when they cannot."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.surd import builder, picture, write_folder
from vignette.errors import ConfigError
from vignette.surd.contact_sheet import read_table, write_contact_sheet
from vignette.surd.record import Candidate, Source
from vignette.surd.sources.civitai import SavedPages, parse_page
from vignette.surd.sources.folder import Folder
from vignette.surd.sources.gallery import Gallery
from vignette.surd.sources.parquet import Parquet

UUID = "dd9b038c-bd15-43ab-86ab-66e145ad7ff2"
URL = f"https://image.civitai.com/token/{UUID}/width=450/17.jpeg"


def read(source: Source, cursor: str | None = None) -> list[Candidate]:
    return [candidate for page in source.read(cursor) for candidate in page.candidates]


def image(**fields: Any) -> dict[str, Any]:
    meta = {"prompt": "a cat", "negativePrompt": "blurry", "seed": 5, "steps": 28, "cfgScale": 7, "sampler": "Euler"}
    return {"id": 17, "url": URL, "nsfwLevel": "None", "type": "image", "meta": meta} | fields


def test_a_civitai_picture() -> None:
    [candidate] = parse_page({"items": [image()]}, "page")
    assert candidate.key == "civitai:17"
    assert candidate.image == URL.replace("width=450", "original=true")
    assert (candidate.prompt, candidate.negative_prompt, candidate.nsfw) == ("a cat", "blurry", 1)
    assert candidate.parameters == {"seed": 5, "num_inference_steps": 28, "guidance_scale": 7.0, "sampler": "Euler"}
    assert candidate.origin == "https://civitai.com/images/17"
    assert "unknown" in candidate.licence


def test_a_civitai_model_page_is_flattened() -> None:
    images = [image(), image(id=None, url=URL), image(type="video"), None]
    model = {"id": 1, "allowCommercialUse": ["Image", "Rent"], "modelVersions": [{"images": images}, {"images": None}]}
    first, second = parse_page({"items": [model, "rubbish"]}, "page")
    assert first.key == "civitai:17"
    assert second.key == f"civitai:{UUID}"
    assert "Image, Rent" in first.licence


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({"nsfwLevel": "None", "nsfw": False}, 1),
        ({"nsfwLevel": "Soft", "nsfw": False}, 2),
        ({"nsfwLevel": 8}, 8),
        ({"nsfwLevel": None, "nsfw": "X"}, 16),
        ({"nsfwLevel": 1, "browsingLevel": 16}, 16),
        ({"nsfwLevel": None, "nsfw": True}, 4),
        ({"nsfwLevel": "None", "nsfw": True}, 4),
        ({"nsfwLevel": None, "nsfw": False}, 2),
        ({"nsfwLevel": None}, None),
        ({"nsfwLevel": 0}, None),
    ],
)
def test_civitai_ratings_of_every_age(fields: dict[str, Any], level: int | None) -> None:
    assert parse_page({"items": [image(**fields)]}, "page")[0].nsfw == level


def test_civitai_meta_may_be_null_or_nested_or_strange() -> None:
    nested = image(meta={"id": 17, "meta": {"prompt": "nested"}})
    found = parse_page({"items": [image(meta=None), nested, image(meta={"prompt": 7})]}, "page")
    assert [candidate.prompt for candidate in found] == ["", "nested", ""]


def test_saved_pages_go_on_from_their_cursor(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.json").write_text(json.dumps({"items": [image(id=number + 1)]}))
    source = SavedPages(sorted(tmp_path.glob("*.json")))
    pages = list(source.read(None))
    assert [page.candidates[0].key for page in pages] == ["civitai:1", "civitai:2", "civitai:3"]
    assert [c.key for c in read(source, pages[0].cursor)] == ["civitai:2", "civitai:3"]
    assert read(source, pages[-1].cursor) == []


@pytest.mark.parametrize("content", ["<!doctype html>", "[]", '{"items": 3}'])
def test_a_file_that_is_no_page_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "page.json"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"page\.json"):
        read(SavedPages([file]))
    with pytest.raises(ConfigError, match="no file"):
        SavedPages([tmp_path / "absent.json"])


def test_a_folder_with_sidecars(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pictures", 2)
    (folder / "a.txt").write_text("1dog, <lora:x:1>\nNegative prompt: cats\nSteps: 9, Seed: 3, Size: 1x1")
    (folder / "a.png").write_bytes(picture(8))
    (folder / "b.JPG").write_bytes(picture(9, kind="JPEG"))
    found = {candidate.key: candidate for candidate in read(Folder(folder, licence="mit"))}
    assert list(found) == ["0.png", "1.png", "a.png", "b.JPG"]
    assert found["0.png"].text.startswith("The 1 cats")
    assert found["0.png"].licence == "cc0-1.0"
    dog = found["a.png"]
    assert (dog.prompt, dog.negative_prompt, dog.licence) == ("1dog, <lora:x:1>", "cats", "mit")
    assert dog.parameters == {"num_inference_steps": 9, "seed": 3, "size": "1x1"}
    assert found["b.JPG"].prompt == ""


def test_txt_sidecars_may_be_narratives(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(1))
    (tmp_path / "a.txt").write_text("A cat\nsleeps.")
    (tmp_path / "a.json").write_text('{"prompt": "1cat", "nsfw": true}')
    [candidate] = read(Folder(tmp_path, sidecar="text"))
    assert (candidate.text, candidate.prompt, candidate.nsfw) == ("A cat sleeps.", "1cat", 4)


def test_a_narrative_beside_a_picture_leaves_the_prompt_within(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "1cat\nSteps: 20, Seed: 7, Size: 1x1")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    (tmp_path / "a.txt").write_text("A cat sleeps.")
    [candidate] = read(Folder(tmp_path, sidecar="text"))
    assert (candidate.text, candidate.prompt, candidate.parameters["seed"]) == ("A cat sleeps.", "1cat", 7)
    [candidate] = read(Folder(tmp_path))
    assert (candidate.text, candidate.prompt) == ("", "A cat sleeps.")


def test_pictures_carry_their_own_prompts(tmp_path: Path) -> None:
    block = "a cat\nNegative prompt: dogs\nSteps: 20, Seed: 7, Size: 1x1"
    info = PngInfo()
    info.add_text("parameters", block)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", pnginfo=info)
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + block.encode("utf-16-be")
    Image.new("RGB", (8, 8)).save(tmp_path / "b.jpg", exif=exif)
    for candidate in read(Folder(tmp_path)):
        assert (candidate.prompt, candidate.negative_prompt) == ("a cat", "dogs")
        assert candidate.parameters["seed"] == 7


@pytest.mark.parametrize(
    ("sidecar", "message"),
    [("{", "no JSON"), ("[]", "object"), ('{"prompt": 3}', "`prompt` must be a string"), ('{"nsfw": "maybe"}', "nsfw")],
)
def test_a_bad_sidecar_spoils_its_own_picture_alone(tmp_path: Path, sidecar: str, message: str) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes(picture(1))
    (tmp_path / "a.json").write_text(sidecar)
    (tmp_path / "b.txt").write_text("a cat")
    bad, good = read(Folder(tmp_path))
    assert message in bad.problem
    assert (bad.prompt, bad.text) == ("", "")
    assert (good.problem, good.prompt) == ("", "a cat")


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no pictures"):
        Folder(tmp_path)
    with pytest.raises(ConfigError, match="no folder"):
        Folder(tmp_path / "absent")


def test_a_folders_signature_follows_its_content(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "pictures", 1)
    before = Folder(folder).signature
    assert Folder(folder).signature == before
    (folder / "0.json").write_text('{"prompt": "another"}')
    assert Folder(folder).signature != before


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    pa = pytest.importorskip("pyarrow", reason="pyarrow is an extra: requirements-surd.txt")
    import pyarrow.parquet as pq

    (tmp_path / "local.png").write_bytes(picture(1))
    images = [{"bytes": picture(0), "path": None}, {"bytes": None, "path": "local.png"}]
    columns = {"image": images, "caption": ["one", None], "tags": ["1cat", "2cat"], "seed": [3, None]}
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    return tmp_path / "data.parquet"


def test_parquet_with_bytes_and_paths(parquet: Path) -> None:
    source = Parquet(parquet, columns={"text": "caption", "prompt": "tags"})
    [page] = source.read(None)
    first, second = page.candidates
    assert page.blobs == {first.image.removeprefix("sha256:"): picture(0)}
    assert (first.text, first.prompt, first.parameters) == ("one", "1cat", {"seed": 3})
    assert (second.image, second.text) == (str(parquet.parent / "local.png"), "")
    assert [candidate.key for candidate in read(source, "1")] == ["1"]
    assert read(source, page.cursor) == []


def test_parquet_without_the_columns(parquet: Path) -> None:
    with pytest.raises(ConfigError, match=r"one of `prompt` and `text`.*image, caption, tags, seed"):
        Parquet(parquet, columns={})
    with pytest.raises(ConfigError, match="no column 'label'"):
        Parquet(parquet, columns={"text": "label"})
    with pytest.raises(ConfigError, match="the column 'seed' for `prompt` holds int64, no strings"):
        Parquet(parquet, columns={"prompt": "seed"})
    parquet.write_bytes(b"not parquet")
    with pytest.raises(ConfigError, match=r"data\.parquet is no parquet"):
        Parquet(parquet, columns={})


def test_a_bad_row_of_parquet_spoils_itself_alone(tmp_path: Path) -> None:
    pa, pq = (pytest.importorskip(name) for name in ("pyarrow", "pyarrow.parquet"))
    rows = [{"image": picture(0), "text": "One.", "nsfw": mark} for mark in ("maybe", "none")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
    bad, good = read(Parquet(tmp_path / "data.parquet", columns={}))
    assert "`nsfw` must be true, false or one of" in bad.problem
    assert (good.problem, good.text) == ("", "One.")


SEPARATORS = "One\u2028two\u2029three\x85four."


def test_separators_within_a_text_and_a_mark_before_it_are_no_lines(tmp_path: Path) -> None:
    mark = b"\xef\xbb\xbf"
    (tmp_path / "a.png").write_bytes(picture(1))
    row = {"narrative": SEPARATORS, "changed_into": SEPARATORS, "image": "a.png"}
    lines = "\r\n".join([json.dumps(row, ensure_ascii=False)] * 2)
    (tmp_path / "gallery.jsonl").write_bytes(mark + lines.encode())
    assert [candidate.prompt for candidate in read(Gallery(tmp_path / "gallery.jsonl"))] == [SEPARATORS] * 2

    folder = write_folder(tmp_path / "in", 1)
    words = {"prompt": SEPARATORS, "text": SEPARATORS}
    (folder / "0.json").write_bytes(mark + json.dumps(words, ensure_ascii=False).encode())
    (folder / "a.png").write_bytes(picture(1))
    (folder / "a.txt").write_bytes(mark + b"1cat")
    assert [candidate.prompt for candidate in read(Folder(folder))] == [SEPARATORS, "1cat"]

    builder(tmp_path / "surd", Folder(folder)).run()
    assert write_contact_sheet(tmp_path / "surd", tmp_path / "sheet.html") == 1
    [written] = read_table(tmp_path / "surd/metadata.jsonl")
    assert written["text"] == SEPARATORS
    metadata = tmp_path / "surd/metadata.jsonl"
    metadata.write_bytes(mark + metadata.read_bytes())
    assert read_table(metadata) == [written]


def test_the_gallery(tmp_path: Path) -> None:
    data = "data:image/png;base64," + base64.b64encode(picture(1)).decode()
    rows = [
        {"narrative": "Two cats\nare asleep", "changed_into": "2cat, sleeping", "image": "a.png", "user": "ignored"},
        {"narrative": "A dog", "changed_into": "1dog", "image": data, "nsfw": False, "license": "cc0-1.0"},
        {"narrative": "A bird", "changed_into": "1bird", "image": "https://example.com/i/x.png"},
    ]
    file = tmp_path / "gallery.jsonl"
    file.write_text("\n\n".join(map(json.dumps, rows)))
    [page] = Gallery(file).read(None)
    cats, dog, bird = page.candidates
    assert (cats.text, cats.prompt, cats.image) == ("Two cats are asleep", "2cat, sleeping", str(tmp_path / "a.png"))
    assert page.blobs == {dog.image.removeprefix("sha256:"): picture(1)}
    assert (dog.nsfw, dog.licence, bird.image) == (1, "cc0-1.0", "https://example.com/i/x.png")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2 is no JSON"),
        ("[]", "line 2 must be an object"),
        ('{"narrative": "a", "image": "x"}', "line 2: `changed_into`"),
        ('{"narrative": " ", "changed_into": "a", "image": "x"}', "line 2: `narrative`"),
        ('{"narrative": "a", "changed_into": "b", "image": "data:,x"}', "line 2: `image`"),
        ('{"narrative": "a", "changed_into": "b", "image": "data:image/png;base64,%%"}', "line 2: `image`"),
        ('{"narrative": "a", "changed_into": "b", "image": "x", "nsfw": "maybe"}', "line 2: `nsfw`"),
    ],
)
def test_a_bad_line_of_the_gallery_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "gallery.jsonl"
    file.write_text('{"narrative": "a", "changed_into": "b", "image": "c"}\n' + line)
    with pytest.raises(ConfigError, match=message):
        read(Gallery(file))
