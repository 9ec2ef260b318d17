"""What the journal costs: from an entry's handing over to its lying on the disk, alone and in a crowd.

    PYTHONPATH=gpu-runner gpu-runner/.venv/bin/python bench/runner-journal.py [--folder FOLDER] [--entries 320]

Times are by the wall, for the disk decides. `fsync_ms` is a bare write of as many bytes with its fsync on the same disk.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from runner_common import plot, write
from vignette.server.journal import Journal

CROWDS = (1, 8, 32, 128)
RECORD = "x" * 1500  # about what a prediction takes


async def accept(journal: Journal, id: str) -> float:
    began = time.perf_counter()
    await journal.accept(id, RECORD)
    return time.perf_counter() - began


async def measure(folder: Path, crowd: int, entries: int) -> tuple[list[float], float]:
    journal = Journal(folder / f"{crowd}.sqlite")
    await accept(journal, "warm")
    times: list[float] = []
    began = time.perf_counter()
    for start in range(0, entries, crowd):
        times += await asyncio.gather(*(accept(journal, f"{start}-{k}") for k in range(crowd)))
    seconds = time.perf_counter() - began
    await journal.close()
    return times, seconds


def bare_fsync(folder: Path) -> float:
    times = []
    with (folder / "bare").open("wb") as stream:
        for _ in range(50):
            began = time.perf_counter()
            stream.write(RECORD.encode())
            stream.flush()
            os.fsync(stream.fileno())
            times.append(time.perf_counter() - began)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=None, help="on the disk that is meant (default: a temporary one)"
    )
    parser.add_argument("--entries", type=int, default=320)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        for crowd in CROWDS:
            times, seconds = asyncio.run(measure(folder, crowd, options.entries))
            p50, p95 = np.quantile(times, (0.5, 0.95)) * 1000
            rows.append(
                {
                    "at_once": crowd,
                    "p50_ms": round(float(p50), 2),
                    "p95_ms": round(float(p95), 2),
                    "entries_per_second": round(len(times) / seconds),
                    "fsync_ms": round(bare_fsync(folder) * 1000, 2),
                    "what": "journal",
                }
            )
    plot(write("journal", rows), "at_once", "p95_ms", rows, "what")


if __name__ == "__main__":
    main()
