"""Civitai: pages of its images and models endpoints, saved as JSON files or asked for live.

Source: https://developer.civitai.com/site/reference/images.md and …/site/guide/pagination.md. Traps: `meta` is null
unless `withMeta=true`; pages by number end at 1,000 items (429), cursors do not; a model's pictures come 450 pixels wide.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vignette.errors import ConfigError
from vignette.surd.http import Client
from vignette.surd.infotext import known_parameters
from vignette.surd.record import NSFW_LEVELS, READING, Candidate, Page

IMAGES_URL = "https://civitai.com/api/v1/images"
LICENCE = "unknown (Civitai: the uploader's)"
_WIDTH = re.compile(r"/width=\d+[^/]*/")
_NSFW_NAMES = {"none": "None", "soft": "Soft", "mature": "Mature", "x": "X"}


class SavedPages:
    """Responses of `/api/v1/images` or `/api/v1/models`, one per JSON file."""

    def __init__(self, files: list[Path]) -> None:
        self._files = sorted(files)
        listing = "\n".join(str(file.resolve()) for file in self._files)
        self.name = f"civitai-pages:{hashlib.sha256(listing.encode()).hexdigest()[:16]}"
        self.signature = _stat_signature(self._files)

    def read(self, cursor: str | None) -> Iterator[Page]:
        for index in range(int(cursor or 0), len(self._files)):
            file = self._files[index]
            try:
                document = json.loads(file.read_bytes())
            except (OSError, ValueError, RecursionError) as error:
                raise ConfigError(f"{file} is no saved page of Civitai's API: {error}.") from None
            yield Page(parse_page(document, str(file)), str(index + 1))


class LivePages:
    """The images endpoint, page after page; the cursor remembers Civitai's own and how many pages were read.

    Args:
        pages (`int`): most pages to have read in all; asking for more later goes on where this ended.
        nsfw (`str`): highest content level to ask for, a key of `NSFW_LEVELS`.
        filters (`dict[str, str]`): further query parameters, such as `{"sort": "Newest", "username": "…"}`.
    """

    signature = ""

    def __init__(self, client: Client, *, pages: int, nsfw: str, filters: dict[str, str], page_size: int = 100) -> None:
        self._client = client
        self._pages = pages
        self._query = {"limit": str(page_size), "withMeta": "true", "nsfw": _NSFW_NAMES[nsfw], **filters}
        self.name = "civitai-live:" + json.dumps(self._query, sort_keys=True)

    def read(self, cursor: str | None) -> Iterator[Page]:
        state: dict[str, Any] = json.loads(cursor) if cursor else {"pages": 0, "next": None}
        while state["pages"] < self._pages and (state["pages"] == 0 or state["next"]):
            query = self._query | ({"cursor": state["next"]} if state["next"] else {})
            body = self._client.get(IMAGES_URL, query, max_bytes=64 << 20)
            try:
                document = json.loads(body)
            except (ValueError, RecursionError):
                raise ConfigError(
                    "Civitai answered with something other than JSON (a browser check, perhaps); try again later, or save "
                    "the pages in a browser and pass them with --from-civitai."
                ) from None
            candidates = parse_page(document, "Civitai's answer")
            metadata = document.get("metadata")
            following = metadata.get("nextCursor") if isinstance(metadata, dict) else None
            state = {"pages": state["pages"] + 1, "next": None if following in (None, "") else str(following)}
            yield Page(candidates, json.dumps(state))


def parse_page(document: Any, where: str) -> list[Candidate]:
    """The pictures of one response; those with no prompt too, so that the report can count them.

    Raises:
        ConfigError: `document` is no such response; `where` names it.
    """
    items = document.get("items") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise ConfigError(f"{where} has no list `items`; it must be a response of /api/v1/images or /api/v1/models.")
    found = []
    for item in items:
        if not isinstance(item, dict):
            continue
        if isinstance(item.get("modelVersions"), list):
            licence = _model_licence(item)
            for version in item["modelVersions"]:
                images = version.get("images") if isinstance(version, dict) else None
                found += [_candidate(image, licence) for image in images] if isinstance(images, list) else []
        else:
            found.append(_candidate(item, LICENCE))
    return [candidate for candidate in found if candidate is not None]


def _candidate(image: Any, licence: str) -> Candidate | None:
    if not isinstance(image, dict) or not isinstance(url := image.get("url"), str) or image.get("type") == "video":
        return None
    meta: Any = image.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    meta = meta["meta"] if isinstance(meta.get("meta"), dict) else meta
    parts = url.split("/")
    name = image.get("id") or (parts[-3] if len(parts) >= 3 else url)
    return Candidate(
        key=f"civitai:{name}",
        image=_WIDTH.sub("/original=true/", url),
        prompt=meta["prompt"] if isinstance(meta.get("prompt"), str) else "",
        negative_prompt=meta["negativePrompt"] if isinstance(meta.get("negativePrompt"), str) else "",
        nsfw=_nsfw_level(image),
        licence=licence,
        origin=f"https://civitai.com/images/{image['id']}" if image.get("id") else url,
        parameters=known_parameters(meta),
    )


def _nsfw_level(image: dict[str, Any]) -> int | None:
    """The highest of what the picture's several fields say; their meaning changed over the years."""
    levels = []
    for name in ("nsfwLevel", "browsingLevel", "nsfw"):
        value = image.get(name)
        if isinstance(value, str) and value.lower() in NSFW_LEVELS:
            levels.append(NSFW_LEVELS[value.lower()])
        elif isinstance(value, int) and not isinstance(value, bool) and value > 0:
            levels.append(value)
    if image.get("nsfw") is True:
        levels.append(NSFW_LEVELS["mature"])
    elif image.get("nsfw") is False and not levels:
        # `false` alone covers PG and PG-13.
        levels.append(NSFW_LEVELS["soft"])
    return max(levels, default=None)


def _model_licence(model: dict[str, Any]) -> str:
    use = model.get("allowCommercialUse")
    text = ", ".join(map(str, use)) if isinstance(use, list) else str(use) if use is not None else ""
    return f"{LICENCE}; the model allows commercial use: {text}" if text else LICENCE


def _stat_signature(files: list[Path]) -> str:
    digest = hashlib.sha256(f"{READING}\n".encode())
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            raise ConfigError(f"There is no file {file}.") from None
        digest.update(f"{file.name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
