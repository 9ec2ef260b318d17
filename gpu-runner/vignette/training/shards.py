"""Training data in parquet files and WebDataset shards. Pictures are read when they are needed."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from vignette.errors import PIP_INSTALL, ConfigError
from vignette.training.data import Example, Problems, text_fields

PICTURES = {"png", "jpg", "jpeg", "webp"}


def read_parquet(source: Path, problems: Problems) -> Iterator[Example]:
    """
    Columns `text`, `prompt` and `image`, the last as bytes or as `datasets` writes it, `{bytes, path}`; a path without
    bytes is taken from the file's own folder.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ConfigError(
            f"Reading parquet needs pyarrow: {PIP_INSTALL} -r gpu-runner/requirements-train.txt."
        ) from None

    for file in [source] if source.is_file() else sorted(source.glob("*.parquet")):
        try:
            table = pq.ParquetFile(file)
        except (OSError, pa.ArrowException) as error:
            problems.add(f"{file.name}: cannot be read as parquet ({error}).")
            continue
        names = table.schema_arrow.names
        missing = [c for c in ("image", "text", "prompt") if c not in names]
        if missing:
            problems.add(f"{file.name}: no column {', '.join(missing)}; it has {', '.join(names)}.")
            continue
        number, groups = 0, _row_groups(table)
        for group in range(table.num_row_groups):
            texts = table.read_row_group(group, columns=["text", "prompt"]).to_pylist()
            for offset, row in enumerate(texts):
                number += 1
                name = f"{file.name}, row {number}"
                pair = text_fields(row, name, problems)
                if pair is not None:
                    yield Example(name, *pair, _parquet_picture(file.parent, groups, group, offset))


def _parquet_picture(folder: Path, groups: Callable[[int], list[Any]], group: int, offset: int) -> Callable[[], bytes]:
    def read() -> bytes:
        value = groups(group)[offset]
        if isinstance(value, bytes):
            return value
        if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
            return value["bytes"]
        if isinstance(value, dict) and isinstance(value.get("path"), str):
            return (folder / value["path"]).read_bytes()
        raise ValueError("no picture in this row")

    return read


def _row_groups(table: Any) -> Callable[[int], list[Any]]:
    @lru_cache(maxsize=1)
    def read(group: int) -> list[Any]:
        return table.read_row_group(group, columns=["image"]).column("image").to_pylist()

    return read


def read_webdataset(source: Path, problems: Problems) -> Iterator[Example]:
    """
    WebDataset shards (https://github.com/webdataset/webdataset): files of a sample share the name up to the first dot
    after the last slash; here `KEY.json` with `text` and `prompt`, and one of `KEY.png|jpg|jpeg|webp`.
    """
    for file in [source] if source.is_file() else sorted(source.glob("*.tar")):
        try:
            # Only uncompressed shards can be read at any place, which shuffling needs.
            with tarfile.open(file, "r:") as shard:
                members = [m for m in shard if m.isfile()]
                rows = {_key(m.name): shard.extractfile(m).read() for m in members if m.name.endswith(".json")}  # type: ignore[union-attr]
        except (OSError, tarfile.TarError) as error:
            problems.add(f"{file.name}: no uncompressed tar file ({error}).")
            continue
        pictures: dict[str, list[tarfile.TarInfo]] = {}
        for member in members:
            if member.name.rpartition(".")[2].lower() in PICTURES:
                pictures.setdefault(_key(member.name), []).append(member)
        for key in pictures.keys() - rows.keys():
            problems.add(f"{file.name}, {key}: a picture without {key}.json.")
        for key, raw in rows.items():
            name = f"{file.name}, {key}"
            try:
                row = json.loads(raw)
            except ValueError:
                problems.add(f"{name}: {key}.json is not JSON.")
                continue
            pair = text_fields(row, name, problems)
            if pair is None:
                continue
            found = pictures.get(key, [])
            if len(found) != 1:
                problems.add(f"{name}: {len(found)} pictures, one is needed.")
                continue
            yield Example(name, *pair, _slice(file, found[0].offset_data, found[0].size))


def _key(name: str) -> str:
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.split(".", 1)[0]


def _slice(file: Path, offset: int, size: int) -> Callable[[], bytes]:
    def read() -> bytes:
        with file.open("rb") as stream:
            stream.seek(offset)
            return stream.read(size)

    return read
