"""The journal's file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from vignette.errors import ConfigError
from vignette.server.journal import Journal

pytestmark = pytest.mark.anyio


async def test_a_journal_belongs_to_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vignette.server.journal.LOCK_SECONDS", 0.05)
    first = Journal(tmp_path / "journal.sqlite")
    with pytest.raises(ConfigError, match="belongs to a runner that is running"):
        Journal(tmp_path / "journal.sqlite")
    await first.close()
    await Journal(tmp_path / "journal.sqlite").close()


def test_a_damaged_journal_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite"
    file.write_bytes(b"this is no database, but long enough to be taken for one" * 100)
    with pytest.raises(ConfigError, match="is damaged"):
        Journal(file)
    assert file.read_bytes().startswith(b"this is no database")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--state"):
        Journal(tmp_path / "file" / "journal.sqlite")


async def test_a_crowd_shares_its_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    commit = Journal._commit
    monkeypatch.setattr(Journal, "_commit", lambda self, batch: (sizes.append(len(batch)), commit(self, batch)))
    journal = Journal(tmp_path / "journal.sqlite")
    await asyncio.gather(*(journal.accept(f"gen_{k}", "{}") for k in range(32)))
    assert len(journal.entries()) == 32
    assert len(sizes) <= 2
    await journal.close()
