"""Stopping a long piece of work so that the same command goes on from there."""

from __future__ import annotations

import signal
import sys
from types import FrameType


class Stopped(Exception):
    """The work was asked to stop, and has kept what it had."""


def stop_on_signals() -> list[int]:
    """The signals seen so far: the first Ctrl-C or SIGTERM lets the step finish and a checkpoint be written, the second ends at once."""
    seen: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if seen:
            raise KeyboardInterrupt
        seen.append(number)
        print("\nStopping after this step…", file=sys.stderr)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return seen
