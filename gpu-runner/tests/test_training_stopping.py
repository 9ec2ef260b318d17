"""Ctrl-C, as a terminal and a launcher pass it on."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from vignette.training.stopping import stop_on_signals


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_what_a_launcher_adds_to_ctrl_c_is_the_same_wish() -> None:
    now = 100.0
    seen = stop_on_signals(lambda: now)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    now = 101.9
    signal.raise_signal(signal.SIGTERM)
    assert seen == [signal.SIGINT]


def test_a_second_wish_ends_at_once() -> None:
    now = 100.0
    stop_on_signals(lambda: now)
    signal.raise_signal(signal.SIGTERM)
    now = 102.0
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
