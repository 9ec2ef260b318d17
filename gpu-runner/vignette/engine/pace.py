"""How many pictures are worth drawing in one UNet call: learnt from what calls take."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence

# From so many calls of a size on, of which so many are remembered.
FEWEST, REMEMBERED = 3, 32
# What a call of twice the size has to draw more per second.
WORTH = 1.05
# After so many calls the neighbours' sizes are tried again: another load, another clock speed.
TRY_AGAIN = 48


class Pace:
    """
    Where twice as many pictures take twice as long, drawing them together only makes those that are nearly done wait for
    those that have just come: the same pictures per second, every one of them later. On an H200 Qwen-Image is there with
    3 or 4 pictures of 512 pixels and with one of 1024 (https://github.com/sgl-project/sglang/pull/22183).
    """

    def __init__(self) -> None:
        self._seconds: dict[tuple[Hashable, int], deque[float]] = {}
        self._calls: dict[Hashable, int] = {}

    def record(self, shape: Hashable, size: int, seconds: float) -> None:
        """A call of `size` pictures of `shape`, padding included, took `seconds` of the device."""
        self._seconds.setdefault((shape, size), deque(maxlen=REMEMBERED)).append(seconds)
        self._calls[shape] = self._calls.get(shape, 0) + 1

    def size(self, shape: Hashable, most: int, buckets: Sequence[int] = ()) -> int:
        """
        The most pictures of `shape` for the next call, between 1 and `most`; one of `buckets`, ascending, where calls are
        padded to them.
        """
        ladder = [bucket for bucket in reversed(buckets) if bucket <= most] or [most]
        while not buckets and ladder[-1] > 1:
            ladder.append(ladder[-1] // 2)
        place = 0
        while place + 1 < len(ladder) and not self._worth(shape, ladder[place], ladder[place + 1]):
            place += 1
        turn, of = divmod(self._calls.get(shape, 0), TRY_AGAIN)
        if of == TRY_AGAIN - 1:
            place += -1 if turn % 2 else 1
        return ladder[min(max(place, 0), len(ladder) - 1)]

    def _worth(self, shape: Hashable, large: int, small: int) -> bool:
        """What is not known may be worth it."""
        rates = [size / seconds for size in (large, small) if (seconds := self._quickest(shape, size))]
        return len(rates) < 2 or rates[0] >= WORTH * rates[1]

    def _quickest(self, shape: Hashable, size: int) -> float | None:
        """What else a machine does can only make a call longer."""
        known = self._seconds.get((shape, size), ())
        return min(known) if len(known) >= FEWEST else None
