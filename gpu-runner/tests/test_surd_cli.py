"""`vignette surd` as its users call it, and the contact sheet it writes."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.surd import picture, table, tree, write_folder
from vignette.cli import main


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    folder = write_folder(tmp_path / "in", 3)
    (folder / "2.json").write_text(json.dumps({"prompt": "<lora:x:1>", "text": "Nothing is left of this one."}))
    options = ["--from-folder", str(folder), "--min-side", "16"]
    assert main(["surd", "build", str(tmp_path / "surd"), *options]) == 0
    return tmp_path / "surd"


def test_build_says_what_it_did(data_set: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--from-folder", str(data_set.parent / "in"), "--min-side", "16"]
    assert main(["surd", "build", str(data_set), *arguments]) == 0
    said = capsys.readouterr().out
    assert "2 of 3 rows kept" in said
    assert "Dropped: 1 empty prompt." in said
    assert len(table(data_set / "metadata.jsonl")) == 2
    options = json.loads((data_set / "report.json").read_text())["options"]
    assert (options["min_side"], options["language"], options["near_duplicates"]) == (16, "en", 4)


@pytest.mark.parametrize(("sidecar", "place"), [("prompt", "in cat.txt"), ("text", "as `prompt` in cat.json")])
def test_pictures_alone_are_told_what_they_lack(
    sidecar: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "0.png").write_bytes(picture(0))
    options = ["--from-folder", str(folder), "--min-side", "16", "--sidecar", sidecar]
    assert main(["surd", "build", str(tmp_path / "surd"), *options]) == 2
    assert f"for cat.png, {place} beside it" in capsys.readouterr().err


def test_the_galleries_candidates_become_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(picture(1))
    row = {"narrative": "The two cats of my aunt sleep.", "changed_into": "2cat, (sleeping:1.1)", "image": "a.png"}
    (tmp_path / "gallery.jsonl").write_text(json.dumps(row))
    arguments = ["--from-gallery", str(tmp_path / "gallery.jsonl"), "--min-side", "16", "--license", "cc-by-4.0"]
    assert main(["surd", "build", str(tmp_path / "surd"), *arguments]) == 0
    [written] = table(tmp_path / "surd/metadata.jsonl")
    assert (written["text"], written["prompt"]) == ("The two cats of my aunt sleep.", "2cat, sleeping")
    assert "license: cc-by-4.0" in (tmp_path / "surd/README.md").read_text()


def test_where_nothing_is_kept_no_data_set_is_written(
    data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--from-folder", str(tmp_path / "in"), "--min-side", "64"]
    assert main(["surd", "build", str(tmp_path / "new"), *arguments]) == 2
    said = capsys.readouterr()
    assert "No row was kept: 2 of 3 went as 'too small' (the shorter side is below --min-side)." in said.err
    assert f"{tmp_path / 'new/.surd/report.md'} says what each means" in said.out
    assert [path.name for path in (tmp_path / "new").iterdir()] == [".surd"]
    assert main(["surd", "inspect", str(tmp_path / "new"), "-o", str(tmp_path / "s.html"), "--dropped"]) == 0

    before = tree(data_set)
    assert main(["surd", "build", str(data_set), *arguments]) == 2
    assert tree(data_set) == before


def test_civitai_live_from_its_api_to_the_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.url.host, request.headers.get("authorization")))
        if request.url.host == "image.civitai.com":
            return httpx.Response(200, content=picture(int(request.url.path[-5])))
        assert request.url.params["username"] == "somebody"
        images = [
            {"id": n, "url": f"https://image.civitai.com/t/u/width=450/{n}.png", "nsfwLevel": level, "meta": meta}
            for n, level, meta in [
                (1, "None", {"prompt": "1cat, <lora:x:1>"}),
                (2, "X", {"prompt": "2cat"}),
                (3, 1, None),
            ]
        ]
        return httpx.Response(200, json={"items": images, "metadata": {}})

    real = httpx.Client
    mock = httpx.MockTransport(answer)
    monkeypatch.setattr("vignette.surd.http.httpx.Client", lambda **options: real(**options | {"transport": mock}))
    monkeypatch.setenv("CIVITAI_API_KEY", "secret")
    limits = ["--requests-per-second", "1000", "--pictures-per-second", "1000", "--min-side", "16", "--language", "any"]
    arguments = ["--from-civitai-live", "2", "--civitai-filter", "username=somebody", *limits]
    for _ in range(2):
        assert main(["surd", "build", str(tmp_path / "surd"), *arguments]) == 2
    assert sorted(asked) == [("civitai.com", "Bearer secret"), ("image.civitai.com", None)]
    report = json.loads((tmp_path / "surd/.surd/report.json").read_text())
    assert report["dropped_by_reason"] == {"nsfw": 1, "empty prompt": 1, "no narrative": 1}
    files = [path.read_bytes() for path in (tmp_path / "surd").rglob("*") if path.is_file()]
    assert b"secret" not in b"".join(files)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Name a source"),
        (["--from-folder", "absent"], "no folder absent"),
        (["--from-folder", "IN", "--min-clip-text", "0.2"], "need --clip"),
        (
            ["--from-folder", "IN", "--captioner", "absent/folder/of/it"],
            "--captioner absent/folder/of/it cannot be loaded",
        ),
        (["--from-folder", "IN", "--workers", "2"], "need --engine ray"),
        (["--from-civitai", "absent.json"], "no file absent.json"),
        (["--from-gallery", "absent.jsonl"], "absent.jsonl cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    folder = str(write_folder(tmp_path / "in", 1))
    arguments = [folder if argument == "IN" else argument for argument in arguments]
    assert main(["surd", "build", str(tmp_path / "surd"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "surd/metadata.jsonl").exists()


@pytest.mark.parametrize(
    "arguments", [["--near-duplicates", "9"], ["--nsfw", "some"], ["--column", "x"], ["--pictures-per-second", "0"]]
)
def test_wrong_values_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["surd", "build", str(tmp_path / "surd"), *arguments])
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err


class Page(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def test_the_contact_sheet_shows_the_rows_and_needs_no_server(data_set: Path, tmp_path: Path) -> None:
    file = tmp_path / "sheet.html"
    assert main(["surd", "inspect", str(data_set), "-o", str(file)]) == 0
    page = Page(file.read_text())
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert [image["alt"] for image in images] == [row["text"] for row in table(data_set / "metadata.jsonl")]
    for image in images:
        head, _, body = str(image["src"]).partition(",")
        assert head == "data:image/jpeg;base64"
        assert Image.open(io.BytesIO(base64.b64decode(body))).size == (48, 40)
    assert not re.search(r"https?:|//|url\(", re.sub(r'src="data:[^"]*"', "", file.read_text()))
    assert "default-src 'none'" in file.read_text()
    assert "1cat, sleeping, beach background" in page.words


def test_words_from_outside_stay_words(data_set: Path, tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7*7 }}'
    rows = table(data_set / "metadata.jsonl")
    rows[0] |= {"text": evil, "prompt": evil}
    (data_set / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    file = tmp_path / "sheet.html"
    assert main(["surd", "inspect", str(data_set), "-o", str(file)]) == 0
    page = Page(file.read_text())
    assert "script" not in [tag for tag, _ in page.tags]
    assert all(set(attributes) <= {"alt", "src"} for tag, attributes in page.tags if tag == "img")
    assert page.words.count(evil) == 2


def test_the_sheet_of_what_was_dropped_says_why(data_set: Path, tmp_path: Path) -> None:
    file = tmp_path / "sheet.html"
    assert main(["surd", "inspect", str(data_set), "-o", str(file), "--dropped"]) == 0
    page = Page(file.read_text())
    assert any(words.startswith("empty prompt") for words in page.words)
    assert "Nothing is left of this one." in page.words


def test_the_sheet_draws_rows_by_seed(data_set: Path, tmp_path: Path) -> None:
    def shown(seed: int) -> list[str]:
        arguments = ["surd", "inspect", str(data_set), "-o", str(tmp_path / "s.html"), "--rows", "1"]
        assert main([*arguments, "--seed", str(seed)]) == 0
        return [
            str(attributes["alt"]) for tag, attributes in Page((tmp_path / "s.html").read_text()).tags if tag == "img"
        ]

    assert len(shown(0)) == 1
    assert shown(0) == shown(0)
    assert len({*shown(0), *shown(1), *shown(2), *shown(3), *shown(4)}) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "There is no"), ("{", "line 1 is no JSON"), ("[]", "line 1 must be"), ("{}", "line 1 has no `file_name`")],
)
def test_a_folder_that_is_no_data_set_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "metadata.jsonl").write_text(content)
    assert main(["surd", "inspect", str(tmp_path), "-o", str(tmp_path / "s.html")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "s.html").exists()


def test_a_sheet_does_not_write_over_the_table_that_it_shows(
    data_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table_file = data_set / "metadata.jsonl"
    before = table_file.read_bytes()
    assert main(["surd", "inspect", str(data_set), "-o", str(table_file)]) == 2
    assert "must end in .html" in capsys.readouterr().err
    assert table_file.read_bytes() == before


def test_pictures_outside_the_folder_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(picture(1))
    inside = tmp_path / "surd"
    inside.mkdir()
    (inside / "metadata.jsonl").write_text('{"file_name": "../secret.png", "text": "a", "prompt": "b"}')
    assert main(["surd", "inspect", str(inside), "-o", str(tmp_path / "s.html")]) == 0
    assert "img" not in [tag for tag, _ in Page((tmp_path / "s.html").read_text()).tags]
