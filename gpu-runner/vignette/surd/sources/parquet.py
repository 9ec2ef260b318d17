"""Parquet files, with pictures as bytes (the `Image` feature of `datasets`), paths or URLs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vignette.errors import PIP_INSTALL, ConfigError
from vignette.surd.infotext import known_parameters
from vignette.surd.record import READING, Candidate, Page
from vignette.surd.sources.folder import read_nsfw

PAGE = 64
TEXTS = {"prompt", "text", "negative_prompt", "license", "origin"}
OPTIONAL = ("negative_prompt", "nsfw", "license", "origin", "seed", "num_inference_steps", "guidance_scale", "sampler")


class Parquet:
    """Rows of one file; columns that it lacks are simply unknown, but `image` and one of `prompt` and `text` must be there.

    Args:
        columns (`dict[str, str]`): the file's names for `image`, `prompt`, `text` and the columns of `OPTIONAL`,
            where they differ.
        licence (`str`): of the rows that name none.
    """

    def __init__(self, file: Path, *, columns: dict[str, str], licence: str = "unknown") -> None:
        try:
            import pyarrow
            import pyarrow.parquet as pq
        except ImportError:
            raise ConfigError(
                f"Reading parquet needs pyarrow: {PIP_INSTALL} -r gpu-runner/requirements-surd.txt."
            ) from None
        try:
            self._file = pq.ParquetFile(file)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{file} is no parquet file that can be read: {error}.") from None
        stat = file.stat()
        self._path = file.resolve()
        self._licence = licence
        present = self._file.schema_arrow.names
        for name, column in columns.items():
            if column not in present:
                raise ConfigError(
                    f"{file} has no column {column!r} for --column {name}=…; it has {', '.join(present)}."
                )
        wanted = {name: columns.get(name, name) for name in ("image", "prompt", "text", *OPTIONAL)}
        self._columns = {name: column for name, column in wanted.items() if column in present}
        if "image" not in self._columns or not {"prompt", "text"} & self._columns.keys():
            raise ConfigError(
                f"{file} needs a column `image` and one of `prompt` and `text`; it has {', '.join(present)}. "
                "Name them with --column image=… prompt=… text=…."
            )
        for name in TEXTS & self._columns.keys():
            kind = self._file.schema_arrow.field(self._columns[name]).type
            if pyarrow.types.is_primitive(kind):
                raise ConfigError(f"{file}: the column {self._columns[name]!r} for `{name}` holds {kind}, no strings.")
        self.name = f"parquet:{self._path}"
        digest = hashlib.sha256(
            f"{READING} {stat.st_size} {stat.st_mtime_ns} {sorted(columns.items())} {licence}".encode()
        )
        self.signature = digest.hexdigest()

    def read(self, cursor: str | None) -> Iterator[Page]:
        start, row = int(cursor or 0), 0
        for batch in self._file.iter_batches(batch_size=PAGE, columns=list(self._columns.values())):
            if row + batch.num_rows > start:
                skipped = max(start - row, 0)
                yield self._page(batch.slice(skipped), row + skipped)
            row += batch.num_rows

    def _page(self, batch: Any, first: int) -> Page:
        candidates: list[Candidate] = []
        blobs: dict[str, bytes] = {}
        try:
            rows = batch.to_pylist()
        except UnicodeDecodeError:  # somewhere in it: then one by one, which is slow
            rows = None
        for number in range(first, first + batch.num_rows):
            try:
                raw = rows[number - first] if rows else batch.slice(number - first, 1).to_pylist()[0]
                row = {name: raw[column] for name, column in self._columns.items()}
                candidates.append(self._candidate(row, number, blobs))
            except ValueError as error:
                origin = f"{self._path.name}, row {number}"
                candidates.append(Candidate(key=str(number), image="", origin=origin, problem=str(error)))
        return Page(candidates, str(first + batch.num_rows), blobs)

    def _candidate(self, row: dict[str, Any], number: int, blobs: dict[str, bytes]) -> Candidate:
        image = row["image"]
        if isinstance(image, dict):
            image = image.get("bytes") or image.get("path")
        if isinstance(image, bytes):
            digest = hashlib.sha256(image).hexdigest()
            blobs[digest] = image
            image = f"sha256:{digest}"
        elif isinstance(image, str) and image and "://" not in image:
            image = str(self._path.parent / image)
        return Candidate(
            key=str(number),
            image=image or "",
            prompt=_string(row, "prompt"),
            text=_string(row, "text"),
            negative_prompt=_string(row, "negative_prompt"),
            nsfw=read_nsfw(row.get("nsfw")),
            licence=_string(row, "license") or self._licence,
            origin=_string(row, "origin") or f"{self._path.name}, row {number}",
            parameters=known_parameters(
                {
                    "seed": row.get("seed"),
                    "steps": row.get("num_inference_steps"),
                    "cfg scale": row.get("guidance_scale"),
                    "sampler": row.get("sampler"),
                }
            ),
        )


def _string(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"`{name}` must be a string, not {type(value).__name__}")
    return value or ""
