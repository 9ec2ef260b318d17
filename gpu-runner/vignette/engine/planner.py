"""Which rows share the next UNet call. Pure bookkeeping: no tensors, no clock, no threads."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Work = TypeVar("Work")
Row = TypeVar("Row")

# Every so many calls one is chosen without regard to urgency, so that nothing that has begun stands still.
FAIR = 4
# Calls that one set of a model's weights may keep while another set of the same model waits.
HOLD = 8


class Line(Generic[Work]):
    """Work in line, taken out by urgency (0 first) and then by callers in turn."""

    def __init__(self) -> None:
        # The caller whose turn it is stands first.
        self._callers: dict[int, OrderedDict[str, deque[Work]]] = {}

    def __bool__(self) -> bool:
        return bool(self._callers)

    @property
    def urgency(self) -> int:
        """Of who is next."""
        return min(self._callers)

    def append(self, work: Work, urgency: int, caller: str) -> None:
        self._callers.setdefault(urgency, OrderedDict()).setdefault(caller, deque()).append(work)

    def pop(self) -> Work:
        urgency = self.urgency
        callers = self._callers[urgency]
        caller, own = next(iter(callers.items()))
        work = own.popleft()
        callers.move_to_end(caller)
        self._tidy(urgency, caller)
        return work

    def remove(self, work: Work) -> None:
        """Does nothing when `work` is not in line."""
        for urgency, callers in self._callers.items():
            for caller, own in callers.items():
                if work in own:
                    own.remove(work)
                    self._tidy(urgency, caller)
                    return

    def _tidy(self, urgency: int, caller: str) -> None:
        callers = self._callers[urgency]
        if not callers[caller]:
            del callers[caller]
        if not callers:
            del self._callers[urgency]


class Planner(Generic[Key, Work, Row]):
    """
    Work waits in its key's line until the key's batch has room; its rows are then drawn with the others of that key.

    Keys take turns, one UNet call each, so a line of large pictures cannot hold up small ones. Where keys need different
    weights in one place, as the LoRA sets of one model do, the set that is there has up to `HOLD` calls before another takes
    its place. So each other set keeps a key waiting for `HOLD` calls, or for one call by each key that came before it.

    But for every `FAIR`th call the most urgent come first: in line, where less urgent rows that have begun take no room
    from them, among the keys, and among a key's rows. Of equally urgent work callers take turns, so that none waits behind
    all that another has sent, and a caller's own comes in the order of its arrival. Of more rows than fit into a call, half
    of the places go to the oldest and the others to those that have the least before them: brief ones overtake, and nobody
    is overtaken for ever.

    Args:
        cap: The most rows of a key that are begun with, not counting those of less urgency.
        size: Given a key and its cap, the most rows in the next call.
        left: A row's steps to come.
        urgency: A row's.
        weights: Of a key, the place of the weights that it is drawn with, and which of several sets has to be in it.
    """

    def __init__(
        self,
        cap: Callable[[Key], int],
        size: Callable[[Key, int], int] = lambda key, cap: cap,
        left: Callable[[Row], int] = lambda row: 0,
        urgency: Callable[[Row], int] = lambda row: 0,
        weights: Callable[[Key], tuple[Hashable, Hashable]] = lambda key: (None, None),
    ) -> None:
        self._cap = cap
        self._size = size
        self._left = left
        self._urgency = urgency
        self._weights = weights
        self._calls = 0
        # By place: the set that was drawn with last, and its calls without a break.
        self._sets: dict[Hashable, tuple[Hashable, int]] = {}
        self._waiting: dict[Key, Line[Work]] = {}
        # Insertion order is the order of turns: the key served last stands at the end.
        self._active: OrderedDict[Key, list[Row]] = OrderedDict()

    def add(self, key: Key, work: Work, urgency: int = 3, caller: str = "") -> None:
        self._waiting.setdefault(key, Line()).append(work, urgency, caller)
        self._active.setdefault(key, [])

    def remove_waiting(self, key: Key, work: Work) -> None:
        """Takes work back that has not been admitted; does nothing otherwise."""
        if key in self._waiting:
            self._waiting[key].remove(work)
            self._forget_if_empty(key)

    def admit(
        self,
        rows_of: Callable[[Work], int],
        is_open: Callable[[Key], bool] = lambda key: True,
        most: int | None = None,
    ) -> list[Work]:
        """
        Takes what finds room now out of the lines that are `is_open`, at most `most`, the most urgent first and then line
        by line; `activate` has to follow for what could be prepared.
        """
        admitted: list[Work] = []
        begun = {key: [self._urgency(row) for row in self._active[key]] for key in self._waiting if is_open(key)}
        while most is None or len(admitted) < most:
            roomy = [
                key
                for key, rows in begun.items()
                if (line := self._waiting[key]) and sum(other <= line.urgency for other in rows) < self._cap(key)
            ]
            if not roomy:
                break
            key = min(roomy, key=lambda key: self._waiting[key].urgency)
            urgency = self._waiting[key].urgency
            admitted.append(self._waiting[key].pop())
            # Behind the others, here and at the next time.
            begun[key] = begun.pop(key) + [urgency] * rows_of(admitted[-1])
            self._waiting[key] = self._waiting.pop(key)
        for key in [key for key, line in self._waiting.items() if not line]:
            del self._waiting[key]
        return admitted

    def activate(self, key: Key, rows: Iterable[Row]) -> None:
        self._active.setdefault(key, []).extend(rows)

    def next_batch(self) -> tuple[Key, list[Row]] | None:
        """The key whose turn it is and as many of its rows as the call may hold, in the order of their beginning."""
        urgencies = {key: [self._urgency(row) for row in rows] for key, rows in self._active.items() if rows}
        if not urgencies:
            return None
        self._calls += 1
        if self._calls % FAIR == 0:
            urgencies = {key: [0] * len(rows) for key, rows in urgencies.items()}
        first = min(map(min, urgencies.values()))
        key = self._turn([key for key, found in urgencies.items() if first in found])
        self._active.move_to_end(key)
        return key, self._chosen(self._active[key], urgencies[key], self._size(key, self._cap(key)))

    def _turn(self, keys: list[Key]) -> Key:
        """The first of `keys` but for those that would drive out a set whose calls are not over."""
        there = {self._weights(key) for key in keys}
        for key in keys:
            place, wanted = self._weights(key)
            held, calls = self._sets.get(place, (wanted, 0))
            if held == wanted or calls >= HOLD or (place, held) not in there:
                break
        self._sets[place] = wanted, calls + 1 if held == wanted else 1
        return key

    def _chosen(self, rows: list[Row], urgencies: list[int], size: int) -> list[Row]:
        chosen: list[int] = []
        for urgency in sorted(set(urgencies)):
            equal = [k for k, other in enumerate(urgencies) if other == urgency]
            room = size - len(chosen)
            oldest, others = equal[: (room + 1) // 2], equal[(room + 1) // 2 :]
            briefest = sorted(others, key=lambda k: self._left(rows[k]))
            chosen += oldest + briefest[: room - len(oldest)]
        return [rows[k] for k in sorted(chosen)]

    def retire(self, key: Key, rows: Iterable[Row]) -> None:
        """Takes rows out: finished, failed or canceled."""
        gone = set(map(id, rows))
        if key in self._active:
            self._active[key] = [row for row in self._active[key] if id(row) not in gone]
            self._forget_if_empty(key)

    def waiting_keys(self) -> list[Key]:
        """Keys with work in line, those first from whose line nothing was taken for longest."""
        return list(self._waiting)

    def active_keys(self) -> list[Key]:
        return [key for key, rows in self._active.items() if rows]

    @property
    def idle(self) -> bool:
        return not self._waiting and not any(self._active.values())

    def _forget_if_empty(self, key: Key) -> None:
        if not self._waiting.get(key):
            self._waiting.pop(key, None)
            if not self._active.get(key):
                self._active.pop(key, None)
