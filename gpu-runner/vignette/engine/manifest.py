"""SHA-256 of a model's files: over all, which tells versions apart, and of each, which tells the file that differs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from vignette.engine.catalogue import ModelSpec
from vignette.engine.components import files_of, named_files
from vignette.errors import ConfigError

SHOWN = 5
# As `sha256sum` writes it.
LINE = re.compile(r"([0-9a-f]{64}) [ *](\S.*)")


def fingerprint(spec: ModelSpec) -> str:
    """SHA-256 (hex) over every configuration and weight file of the model and its additions: other bytes, other id."""
    digest = hashlib.sha256()
    for file in files_of(spec):
        root = next((r for r in (spec.path, *(a.path for a in spec.adapters)) if file.is_relative_to(r)), file.parent)
        digest.update(file.relative_to(root).as_posix().encode() + b"\0")
        digest.update(file.stat().st_size.to_bytes(8, "big"))
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def checked_version(spec: ModelSpec) -> str:
    """
    The fingerprint of the model's files.

    Raises:
        ConfigError: They are not those that `manifest` or `sha256` in models.toml names.
    """
    if spec.manifest is not None:
        _check(spec, spec.manifest)
    version = fingerprint(spec)
    if spec.sha256 not in (None, version):
        remedy = "restore the files, or correct sha256 if the change was meant"
        more = "" if spec.manifest else "; a manifest would name the file that differs"
        raise ConfigError(
            f"The model {spec.id}: its files have the SHA-256 {version}, models.toml expects {spec.sha256}; {remedy}{more}."
        )
    return version


def write_manifest(spec: ModelSpec) -> str:
    """A line for each file, which `sha256sum --check` understands in the model's own folder."""
    return "".join(f"{digest}  {name}\n" for name, digest in _hashes(spec).items())


def read_manifest(file: Path) -> dict[str, str]:
    """SHA-256 by name. Raises ConfigError for a line that is none of a manifest's."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The manifest {file} cannot be read: {error}.") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        match = LINE.fullmatch(line)
        if match is None:
            raise ConfigError(
                f"The manifest {file}, line {number}: it should be a SHA-256, two spaces and a file's name."
            )
        found[match[2]] = match[1]
    return found


def _check(spec: ModelSpec, manifest: Path) -> None:
    wrong = _differences(read_manifest(manifest), _hashes(spec))
    if wrong:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise ConfigError(
            f"The model {spec.id} is not what {manifest} says: {'; '.join(wrong[:SHOWN])}{more}. Restore the files, or write"
            f" it again with `vignette models manifest {spec.id}` if the change was meant."
        )


def _differences(wanted: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    return [
        *(f"{name} is missing" for name in wanted if name not in there),
        *(f"{name} differs" for name, digest in wanted.items() if there.get(name, digest) != digest),
        *(f"{name} is not in it" for name in there if name not in wanted),
    ]


def _hashes(spec: ModelSpec) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, file in named_files(spec):
        with file.open("rb") as stream:
            digest = hashlib.sha256()
            while block := stream.read(1 << 20):
                digest.update(block)
        found[name] = digest.hexdigest()
    return found
