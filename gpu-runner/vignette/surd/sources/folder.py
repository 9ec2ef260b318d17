"""A folder of pictures with their words in sidecar files, or in the pictures as the web UIs write them."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vignette.errors import ConfigError
from vignette.surd.infotext import known_parameters, parse_infotext
from vignette.surd.record import LONGEST, NSFW_LEVELS, READING, Candidate, Page

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
PAGE = 256
# A prompt, a negative one and the settings of whatever extensions were in use.
LONGEST_BLOCK = 5 * LONGEST
_USER_COMMENT, _EXIF = 0x9286, 0x8769


class Folder:
    """`cat.png` with `cat.txt` (one prompt, as trainers keep it) or `cat.json` (`prompt`, `text`, `negative_prompt`,
    `nsfw`, `license`, `seed`, …); where these hold no prompt, the PNG's `parameters` or the JPEG's EXIF comment is read.

    Args:
        sidecar (`str`, defaults to `"prompt"`): what a `.txt` holds, a keyword `"prompt"` or a narrative `"text"`.
        licence (`str`): of the pictures whose sidecar names none.
    """

    def __init__(self, folder: Path, *, sidecar: str = "prompt", licence: str = "unknown") -> None:
        if not folder.is_dir():
            raise ConfigError(f"There is no folder {folder}.")
        self._folder = folder.resolve()
        if str(self._folder) != os.fsencode(self._folder).decode("utf-8", "replace"):
            raise ConfigError(f"The name of the folder {str(self._folder)!r} is not UTF-8; rename it.")
        self._sidecar = sidecar
        self._licence = licence
        self._images = sorted(
            path for path in self._folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()
        )
        if not self._images:
            raise ConfigError(f"{folder} holds no pictures ({', '.join(sorted(SUFFIXES))}).")
        self.name = f"folder:{self._folder}"
        self.signature = self._sign()

    def read(self, cursor: str | None) -> Iterator[Page]:
        for start in range(int(cursor or 0), len(self._images), PAGE):
            part = self._images[start : start + PAGE]
            yield Page([self._candidate(path) for path in part], str(start + len(part)))

    def _candidate(self, image: Path) -> Candidate:
        name = image.relative_to(self._folder).as_posix()
        try:
            return self._told(image, name)
        except (OSError, ValueError) as error:
            # One bad sidecar of a million is dropped and reported like any other row that will not do.
            return Candidate(key=name, image=str(image), licence=self._licence, origin=name, problem=f"{error}")

    def _told(self, image: Path, name: str) -> Candidate:
        words: dict[str, Any] = {}
        for sidecar in (image.with_suffix(".json"), image.with_suffix(image.suffix + ".json")):
            if sidecar.is_file():
                words = _read_json(sidecar)
                break
        text_file = next((p for s in (".txt", ".caption") if (p := image.with_suffix(s)).is_file()), None)
        if text_file is not None:
            content = text_file.read_text("utf-8-sig", errors="replace").strip()
            if self._sidecar == "text":
                words.setdefault("text", " ".join(content.split()))
            elif "prompt" not in words:
                _adopt(words, content)
        if "prompt" not in words:
            _adopt(words, embedded_infotext(image))
        return Candidate(
            key=name,
            image=str(image),
            prompt=_text(words, "prompt"),
            text=_text(words, "text"),
            negative_prompt=_text(words, "negative_prompt") or _text(words, "negativePrompt"),
            nsfw=read_nsfw(words.get("nsfw")),
            licence=_text(words, "license") or _text(words, "licence") or self._licence,
            origin=_text(words, "origin") or name,
            parameters=_parameters(words),
        )

    def _sign(self) -> str:
        digest = hashlib.sha256(f"{READING}\0{self._sidecar}\0{self._licence}\n".encode())
        sidecars = {".json", ".txt", ".caption"}
        for path in sorted(self._folder.rglob("*")):
            if path.suffix.lower() in SUFFIXES | sidecars and path.is_file():
                stat = path.stat()
                digest.update(os.fsencode(path.relative_to(self._folder)))
                digest.update(f"\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
        return digest.hexdigest()


def read_nsfw(value: Any) -> int | None:
    """A sidecar's or a table's NSFW mark: true, false, a level's name, 0 for none, or Civitai's number above 1.

    Raises:
        ValueError: it is none of these, or 1: tables of noughts and ones mean *yes* by it, Civitai its safest level.
    """
    if isinstance(value, float):  # of a column with gaps
        value = None if math.isnan(value) else int(value) if value.is_integer() else value
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return NSFW_LEVELS["mature"] if value else NSFW_LEVELS["none"]
    if isinstance(value, str) and value.lower() in NSFW_LEVELS:
        return NSFW_LEVELS[value.lower()]
    if isinstance(value, int) and value == 1:
        raise ValueError(
            "`nsfw` is 1, which means yes in some tables and Civitai's safest level in others; write true, false or one of"
            f" {', '.join(NSFW_LEVELS)}"
        )
    if isinstance(value, int) and value >= 0:
        return value or NSFW_LEVELS["none"]
    raise ValueError(f"`nsfw` must be true, false or one of {', '.join(NSFW_LEVELS)}, not {value!r}")


def embedded_infotext(path: Path) -> str:
    """The generation settings within a picture, empty if there are none or it cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            found = image.info.get("parameters")
            comment = image.getexif().get_ifd(_EXIF).get(_USER_COMMENT)
    except Exception:  # a broken picture is the measuring stage's to report
        return ""
    if isinstance(found, str):
        return found
    if isinstance(comment, bytes) and comment[:8] in (b"UNICODE\0", b"ASCII\0\0\0"):
        # The web UIs write UTF-16 in big-endian order whatever the file's own order is (piexif does).
        return comment[8:].decode("utf-16-be" if comment.startswith(b"UNICODE") else "ascii", errors="replace")
    return ""


def _adopt(words: dict[str, Any], block: str) -> None:
    if len(block) > LONGEST_BLOCK:
        raise ValueError(f"the prompt and its settings have {len(block)} characters, more than {LONGEST_BLOCK}")
    infotext = parse_infotext(block)
    words["prompt"] = infotext.prompt
    words.setdefault("negative_prompt", infotext.negative_prompt)
    words.setdefault("parameters", infotext.parameters)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file.name} is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"{file.name} must be a JSON object with `prompt` and, if there is one, `text`")
    meta = document.get("meta")
    return {**document, **meta} if isinstance(meta, dict) else document


def _parameters(words: dict[str, Any]) -> dict[str, Any]:
    parameters = words.get("parameters")
    if not parameters:
        return known_parameters(words)
    if not isinstance(parameters, dict):
        raise ValueError(f"`parameters` must be an object, not {type(parameters).__name__}")
    steps = parameters.get("num_inference_steps")
    if steps is None:
        return parameters
    if isinstance(steps, bool) or not isinstance(steps, str | int | float):
        raise ValueError(f"`num_inference_steps` must be a number, not {steps!r:.80}")
    try:
        return {**parameters, "num_inference_steps": int(steps)}
    except (ValueError, OverflowError):
        raise ValueError(f"`num_inference_steps` must be a number, not {steps!r:.80}") from None


def _text(words: dict[str, Any], name: str) -> str:
    value = words.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"`{name}` must be a string, not {type(value).__name__}")
    return value.strip()
