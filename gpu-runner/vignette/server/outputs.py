"""The finished pictures' files, in a folder for each prediction."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path


class Outputs:
    """Blocking; the caller keeps it off the event loop where it writes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write(self, id: str, files: Mapping[str, bytes]) -> None:
        """Stores `files` by name; returns once they would survive the loss of power."""
        folder = self._folder / id
        folder.mkdir(exist_ok=True)
        for name, data in files.items():
            with (folder / name).open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())

    def path(self, id: str, name: str) -> Path:
        return self._folder / id / name

    def remove(self, id: str) -> None:
        shutil.rmtree(self._folder / id, ignore_errors=True)

    def keep_only(self, ids: Collection[str]) -> None:
        """Removes what a killed process left behind."""
        for folder in self._folder.iterdir():
            if folder.name not in ids:
                self.remove(folder.name)
