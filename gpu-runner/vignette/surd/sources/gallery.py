"""What people of the chat bots agreed to share: a narrative, what they changed it into, and the picture they kept."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vignette.errors import ConfigError
from vignette.surd.record import READING, Candidate, Page
from vignette.surd.sources.folder import read_nsfw

PAGE = 256


class Gallery:
    """JSON lines `{narrative, changed_into, image}`, `image` a path (relative to the file), a URL or a `data:` URL.

    A line may also have `nsfw`, `license`, `origin` and `id`; other fields are left alone.
    """

    def __init__(self, file: Path, *, licence: str = "unknown") -> None:
        try:
            # Not `splitlines`, which cuts at the separators that JSON allows within a string.
            self._lines = file.read_text("utf-8-sig").split("\n")
            stat = file.stat()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file} cannot be read: {error}.") from None
        self._file = file.resolve()
        self._licence = licence
        self.name = f"gallery:{self._file}"
        self.signature = hashlib.sha256(f"{READING} {stat.st_size} {stat.st_mtime_ns} {licence}".encode()).hexdigest()

    def read(self, cursor: str | None) -> Iterator[Page]:
        for start in range(int(cursor or 0), len(self._lines), PAGE):
            lines = self._lines[start : start + PAGE]
            blobs: dict[str, bytes] = {}
            found = [self._candidate(text, start + i + 1, blobs) for i, text in enumerate(lines) if text.strip()]
            yield Page(found, str(start + len(lines)), blobs)

    def _candidate(self, line: str, number: int, blobs: dict[str, bytes]) -> Candidate:
        where = f"{self._file}, line {number}"
        try:
            row: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{where} is no JSON: {error}.") from None
        if not isinstance(row, dict):
            raise ConfigError(f"{where} must be an object with `narrative`, `changed_into` and `image`.")
        for name in ("narrative", "changed_into", "image"):
            if not isinstance(row.get(name), str) or not row[name].strip():
                raise ConfigError(f"{where}: `{name}` must be a string that is not empty.")
        try:
            nsfw = read_nsfw(row.get("nsfw"))
        except ValueError as error:
            raise ConfigError(f"{where}: {error}.") from None
        return Candidate(
            key=str(row.get("id") or number),
            image=self._image(row["image"], where, blobs),
            prompt=row["changed_into"].strip(),
            text=" ".join(row["narrative"].split()),
            nsfw=nsfw,
            licence=str(row.get("license") or self._licence),
            origin=str(row.get("origin") or f"{self._file.name}, line {number}"),
        )

    def _image(self, image: str, where: str, blobs: dict[str, bytes]) -> str:
        if image.startswith("data:"):
            head, _, body = image.partition(",")
            try:
                content = base64.b64decode(body, validate=True) if head.endswith(";base64") else b""
            except binascii.Error:
                content = b""
            if not content:
                raise ConfigError(f"{where}: `image` is a data: URL, but not of base64.")
            digest = hashlib.sha256(content).hexdigest()
            blobs[digest] = content
            return f"sha256:{digest}"
        return image if "://" in image else str(self._file.parent / image)
