"""What a build knows so far, in one SQLite file: every stage's results, committed batch by batch.

A stage asks for what has no result yet, so a build that was cut off goes on where it was. Results that cost much
(measurements, captions, scores) hang on the content's hash, not on a row: the same picture is never captioned twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from vignette.errors import ConfigError
from vignette.surd.record import Page, sound

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS sources (name TEXT PRIMARY KEY, signature TEXT NOT NULL, cursor TEXT) STRICT;
CREATE TABLE IF NOT EXISTS rows (
  id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, key TEXT NOT NULL, image TEXT NOT NULL,
  candidate TEXT NOT NULL, blob TEXT, missing TEXT, UNIQUE (source, key)
) STRICT;
CREATE INDEX IF NOT EXISTS rows_by_image ON rows (image);
CREATE TABLE IF NOT EXISTS results (
  stage TEXT NOT NULL, key TEXT NOT NULL, result TEXT NOT NULL, PRIMARY KEY (stage, key)
) STRICT, WITHOUT ROWID;
"""


class Store:
    """The state below `folder`, held by one build at a time.

    Attributes:
        folder (`Path`): where it lies.
        on_commit: called after every commit; tests cut the build off here.
    """

    on_commit: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blobs = folder / "blobs"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(folder / "state.sqlite3", timeout=0.5, isolation_level=None)
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            self._db.executescript(f"BEGIN EXCLUSIVE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        except sqlite3.OperationalError as error:
            self._db.close()
            if "locked" in str(error):
                raise ConfigError(f"Another build works in {folder}; wait for it or stop it.") from None
            raise ConfigError(f"{folder / 'state.sqlite3'} cannot be opened: {error}.") from None
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise ConfigError(f"{folder / 'state.sqlite3'} is no build's state ({error}); move it away.") from None
        if version not in (0, SCHEMA_VERSION):
            self._db.close()
            raise ConfigError(f"{folder} was written by another version of this builder; choose a new folder.")

    def close(self) -> None:
        self._db.close()

    def _write(self, statements: Iterable[tuple[str, Iterable[tuple[Any, ...]]]]) -> None:
        self._db.execute("BEGIN")
        try:
            for sql, parameters in statements:
                self._db.executemany(sql, parameters)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self.on_commit()

    # Sources

    def begin(self, source: str, signature: str) -> str | None:
        """The cursor to go on from; rows of a source whose content changed are forgotten, their costly results not."""
        row = self._db.execute("SELECT signature, cursor FROM sources WHERE name = ?", (source,)).fetchone()
        if row is not None and row[0] == signature:
            return row[1]
        self._write(
            [
                ("DELETE FROM rows WHERE source = ?", [(source,)]),
                ("INSERT OR REPLACE INTO sources VALUES (?, ?, NULL)", [(source, signature)]),
            ]
        )
        return None

    def add(self, source: str, page: Page) -> None:
        """Adds a page and moves the cursor past it, both or neither; a key that is there already stays as it is."""
        for digest, content in page.blobs.items():
            self.put_blob(content, digest)
        rows = [
            (
                source,
                c["key"],
                c["image"],
                json.dumps(c, sort_keys=True),
                c["image"].removeprefix("sha256:") if c["image"].startswith("sha256:") else None,
                None if c["image"] else "the source names no picture",
            )
            for c in (sound(candidate.to_dict()) for candidate in page.candidates)
        ]
        insert = "INSERT OR IGNORE INTO rows (source, key, image, candidate, blob, missing) VALUES (?, ?, ?, ?, ?, ?)"
        cursor = "UPDATE sources SET cursor = ? WHERE name = ?"
        self._write([(insert, rows), (cursor, [(page.cursor, source)])])

    # Pictures

    def known_blob(self, image: str) -> str | None:
        row = self._db.execute("SELECT blob FROM rows WHERE image = ? AND blob IS NOT NULL", (image,)).fetchone()
        return row[0] if row else None

    def set_images(self, found: Iterable[tuple[str, str | None, str | None]]) -> None:
        """`(address, digest, why it can never be had)` for each."""
        update = "UPDATE rows SET blob = ?, missing = ? WHERE image = ? AND blob IS NULL"
        self._write([(update, [(digest, missing, image) for image, digest, missing in found])])

    def forget_lost(self) -> None:
        """Pictures that somebody took out of the state's folder are had anew; those that a source brought, with it."""
        query = "SELECT id, source, image, blob FROM rows WHERE blob IS NOT NULL"
        lost = [row for row in self._db.execute(query) if not self.blob_path(row[3]).is_file()]
        sources = {(source,) for _, source, image, _ in lost if image.startswith("sha256:")}
        if lost:
            self._write(
                [
                    ("UPDATE rows SET blob = NULL WHERE id = ?", [(number,) for number, *_ in lost]),
                    ("DELETE FROM rows WHERE source = ?", sources),
                    ("DELETE FROM sources WHERE name = ?", sources),
                ]
            )

    def put_blob(self, content: bytes, digest: str | None = None) -> str:
        digest = digest or hashlib.sha256(content).hexdigest()
        path = self.blob_path(digest)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            partial = path.with_suffix(".part")
            partial.write_bytes(content)
            os.replace(partial, path)
        return digest

    def blob_path(self, digest: str) -> Path:
        return self._blobs / digest[:2] / digest

    # Rows and results

    def rows(self, sources: list[str]) -> Iterator[tuple[int, str, dict[str, Any], str | None, str | None]]:
        """`(id, source, candidate, blob, missing)` in the order of `sources`, then as they were read."""
        for source in sources:
            query = "SELECT id, candidate, blob, missing FROM rows WHERE source = ? ORDER BY id"
            for number, candidate, blob, missing in self._db.execute(query, (source,)):
                fields = json.loads(candidate)
                # An earlier version stored what could not be written; its rows begin no better by staying there.
                yield number, source, sound(fields) if "\\ud" in candidate else fields, blob, missing

    def result(self, stage: str, key: str) -> dict[str, Any] | None:
        row = self._db.execute("SELECT result FROM results WHERE stage = ? AND key = ?", (stage, key)).fetchone()
        return json.loads(row[0]) if row else None

    def set_results(self, stage: str, results: Iterable[tuple[str, dict[str, Any]]]) -> None:
        insert = "INSERT OR REPLACE INTO results VALUES (?, ?, ?)"
        self._write([(insert, [(stage, key, json.dumps(result)) for key, result in results])])
