"""What was accepted and what its webhook has still to be told, on disk: SQLite, synced before anyone is answered."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vignette.errors import ConfigError

LOCK_SECONDS = 5.0  # a process that was just killed may hold the file a moment longer
SCHEMA = """
CREATE TABLE IF NOT EXISTS prediction (
  id TEXT PRIMARY KEY, record TEXT NOT NULL, ended INTEGER NOT NULL DEFAULT 0,
  begun INTEGER NOT NULL DEFAULT 0, starts INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS message (
  id TEXT PRIMARY KEY, prediction TEXT NOT NULL, url TEXT NOT NULL, body BLOB NOT NULL, traceparent TEXT,
  attempts INTEGER NOT NULL DEFAULT 0, due_at REAL NOT NULL
) STRICT;
"""
Statement = tuple[str, tuple[Any, ...]]


class JournalError(Exception):
    """The disk did not take an entry; the message says why."""


@dataclass(frozen=True)
class Entry:
    """
    A prediction as the journal has it: its record (JSON), whether it has ended, how often its drawing has begun, and how
    many processes have found it without an end.
    """

    id: str
    record: str
    ended: bool
    begun: int
    starts: int


@dataclass(frozen=True)
class Message:
    """A last callback that its receiver has not taken yet. `due_at` is in seconds since 1970."""

    id: str
    prediction: str
    url: str
    body: bytes
    traceparent: str | None = None
    attempts: int = 0
    due_at: float = 0.0


class Journal:
    """
    Every method returns once its entry would survive the loss of power. Entries that arrive while another is written
    share the next sync, so a crowd costs little more than one. One process at a time has the file.

    Raises:
        ConfigError: The file cannot be opened, is damaged, or belongs to another process.
    """

    def __init__(self, file: Path) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._pending: list[Statement] = []
        self._committed: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = sqlite3.connect(file, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
            for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
                self._db.execute(f"PRAGMA {pragma}")
            self._db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(_sentence(file, error)) from None

    def start(self) -> list[Entry]:
        """A process starts: everything known, in the order of acceptance."""
        self._db.execute("UPDATE prediction SET starts = starts + 1 WHERE NOT ended")
        return self.entries()

    def entries(self) -> list[Entry]:
        rows = self._db.execute("SELECT id, record, ended, begun, starts FROM prediction ORDER BY rowid")
        return [Entry(id, record, bool(ended), *counts) for id, record, ended, *counts in rows]

    def messages(self) -> list[Message]:
        """What is still to be told."""
        rows = self._db.execute(
            "SELECT id, prediction, url, body, traceparent, attempts, due_at FROM message ORDER BY rowid"
        )
        return [Message(*row) for row in rows]

    async def accept(self, id: str, record: str) -> None:
        await self._write(
            ("DELETE FROM message WHERE prediction = ?", (id,)),
            ("INSERT OR REPLACE INTO prediction (id, record) VALUES (?, ?)", (id, record)),
        )

    async def begin(self, id: str) -> None:
        """Its drawing begins: what ends the process again and again must not be tried for ever."""
        await self._write(("UPDATE prediction SET begun = begun + 1 WHERE id = ?", (id,)))

    async def end(self, id: str, record: str, message: Message | None) -> None:
        """It has ended, and `message` is to be delivered."""
        statements: list[Statement] = [("UPDATE prediction SET record = ?, ended = 1 WHERE id = ?", (record, id))]
        if message is not None:
            values = (message.id, id, message.url, message.body, message.traceparent, message.attempts, message.due_at)
            statements.append(("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)", values))
        await self._write(*statements)

    async def postpone(self, message: Message) -> None:
        await self._write(
            ("UPDATE message SET attempts = ?, due_at = ? WHERE id = ?", (message.attempts, message.due_at, message.id))
        )

    async def settle(self, message_id: str) -> None:
        """It was taken, or is given up."""
        await self._write(("DELETE FROM message WHERE id = ?", (message_id,)))

    async def forget(self, id: str) -> None:
        await self._write(("DELETE FROM prediction WHERE id = ?", (id,)))

    async def close(self) -> None:
        """Waits for what is being written and gives the file back."""
        if self._writer is not None:
            await self._writer
        self._thread.shutdown()
        self._db.close()

    async def _write(self, *statements: Statement) -> None:
        """Raises JournalError when the disk does not take it."""
        self._pending += statements
        if self._committed is None:
            self._committed = asyncio.get_running_loop().create_future()
        committed = self._committed
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_pending())
        await asyncio.shield(committed)

    async def _write_pending(self) -> None:
        while self._committed is not None:
            batch, self._pending = self._pending, []
            committed, self._committed = self._committed, None
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, batch)
            except sqlite3.Error as error:
                committed.set_exception(JournalError(str(error)))
                committed.exception()  # nobody may be waiting for it any more
            else:
                committed.set_result(None)
        self._writer = None

    def _commit(self, batch: Sequence[Statement]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for sql, values in batch:
                self._db.execute(sql, values)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _sentence(file: Path, error: OSError | sqlite3.Error) -> str:
    if "locked" in str(error):
        return f"{file.parent} belongs to a runner that is running; stop it, or choose another folder with --state."
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return f"{file} is damaged ({error}); move it away to start without it, or restore it."
    return f"{file} cannot be opened ({error}); choose a folder that can be written with --state or VIGNETTE_STATE."
