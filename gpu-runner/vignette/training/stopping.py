"""Stopping a long piece of work so that the same command goes on from there."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType

# Ctrl-C under npm comes twice: SIGINT from the terminal, and SIGTERM from the launcher that got it too.
SAME_WISH_SECONDS = 2.0


class Stopped(Exception):
    """The work was asked to stop, and has kept what it had."""


def stop_on_signals(clock: Callable[[], float] = time.monotonic) -> list[int]:
    """
    The wishes seen so far: the first Ctrl-C or SIGTERM lets the step finish and a checkpoint be written, another ends at
    once. Whatever comes within two seconds of the first is the same wish.
    """
    seen: list[int] = []
    first = 0.0

    def note(number: int, _frame: FrameType | None) -> None:
        nonlocal first
        if not seen:
            first = clock()
            seen.append(number)
            print("\nStopping after this step…", file=sys.stderr)
        elif clock() - first >= SAME_WISH_SECONDS:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return seen
