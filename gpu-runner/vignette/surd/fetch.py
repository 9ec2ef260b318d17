"""Bytes for addresses: files are read, URLs asked for, each once and in step with the client's pace."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from vignette.surd.http import Client, HostNotNamed, Refused, Unreachable
from vignette.surd.store import Store

MAX_BYTES = 64 << 20
BATCH = 32


@dataclass(frozen=True)
class Fetched:
    """`digest` of the bytes; or `missing`, why there will never be any; or neither: not now, perhaps another time."""

    image: str
    digest: str | None = None
    missing: str | None = None
    later: str | None = None


def fetch_all(store: Store, images: list[str], client: Client | None, *, threads: int = 4) -> Iterator[list[Fetched]]:
    """Stores the bytes of `images`, committed in batches; yields what came of each.
    A picture whose host nobody allowed may be allowed next time, so it waits as one that a server was too busy for.
    """
    client = client or Client((), per_second=1.0)  # which may ask nobody
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(images), BATCH):
            batch = images[start : start + BATCH]
            contents = list(pool.map(lambda image: _bytes(image, client), batch))
            found = []
            for fetched, content in contents:
                digest = store.put_blob(content) if content is not None else None
                found.append(Fetched(fetched.image, digest, fetched.missing, fetched.later))
            store.set_images([(f.image, f.digest, f.missing) for f in found if f.digest or f.missing])
            yield found


def _bytes(image: str, client: Client) -> tuple[Fetched, bytes | None]:
    if "://" not in image:
        try:
            return Fetched(image), Path(image).read_bytes()
        except OSError as error:
            return Fetched(image, missing=error.strerror or "the file cannot be read"), None
        except ValueError as error:  # a NUL in it
            return Fetched(image, missing=f"{image!r} is no file's name ({error})"), None
    try:
        return Fetched(image), _get(client, image)
    except HostNotNamed as refused:
        return Fetched(image, later=str(refused)), None
    except Refused as refused:
        return Fetched(image, missing=str(refused)), None
    except Unreachable as unreachable:
        return Fetched(image, later=str(unreachable)), None


def _get(client: Client, url: str) -> bytes:
    try:
        return client.get(url, max_bytes=MAX_BYTES)
    except Refused as refused:
        # Civitai has lost some originals, but still serves them at other sizes.
        if refused.status != 404 or "/original=true/" not in url:
            raise
        return client.get(url.replace("/original=true/", "/width=1024/"), max_bytes=MAX_BYTES)
