"""Calls grow for as long as that draws more pictures a second, and no further."""

from __future__ import annotations

from collections.abc import Hashable

from tests.drawing import Drawing, assert_same, draw, request
from vignette.engine.events import Finished
from vignette.engine.loader import LoadedModel
from vignette.engine.pace import FEWEST, TRY_AGAIN, Pace

# Of a device that draws 4 together as fast as 3, and no more pictures a second from there on.
SECONDS = {1: 1.0, 2: 1.2, 4: 1.6, 8: 3.2, 16: 6.4}


def known(seconds: dict[int, float], times: int = FEWEST) -> Pace:
    pace = Pace()
    for size, taken in seconds.items():
        for _ in range(times):
            pace.record("shape", size, taken)
    return pace


def test_unknown_sizes_are_tried() -> None:
    assert Pace().size("shape", 16) == 16
    assert known({1: 1.0, 2: 1.2, 4: 1.6}).size("shape", 16) == 16
    assert known(SECONDS, FEWEST - 1).size("shape", 16) == 16


def test_no_larger_than_what_draws_more_a_second() -> None:
    pace = known(SECONDS)
    assert [pace.size("shape", most) for most in (16, 8, 4, 2, 1)] == [4, 4, 4, 2, 1]
    assert pace.size("another", 16) == 16
    assert known({size: size / 10 for size in SECONDS}).size("shape", 16) == 1
    assert known(dict.fromkeys(SECONDS, 1.0)).size("shape", 16) == 16


def test_where_calls_are_padded_their_sizes_are_what_is_compared() -> None:
    pace = known({1: 1.0, 2: 2.0, 4: 4.0, 6: 6.0})
    assert pace.size("shape", 6, (1, 2, 4, 6)) == 1
    assert known({1: 1.0, 2: 1.2, 4: 1.6, 6: 2.4}).size("shape", 6, (1, 2, 4, 6)) == 4
    assert pace.size("shape", 2, (4, 6)) == 2


def test_slow_calls_decide_nothing() -> None:
    pace = known(SECONDS)
    for _ in range(TRY_AGAIN // 3):
        pace.record("shape", 4, 60.0)
    assert pace.size("shape", 16) == 4


def test_neighbours_are_tried_again_and_believed() -> None:
    pace = known(SECONDS)
    tried = []
    for _ in range(4 * TRY_AGAIN):
        size = pace.size("shape", 16)
        tried.append(size)
        pace.record("shape", size, SECONDS[size])
    assert {size: tried.count(size) for size in set(tried)} == {4: 4 * TRY_AGAIN - 4, 2: 2, 8: 2}
    for _ in range(20 * TRY_AGAIN):  # the machine is another by now
        pace.record("shape", pace.size("shape", 16), 1.0)
    assert pace.size("shape", 16) > 4


class Rehearsed(Pace):
    """Believes SECONDS instead of the clock."""

    def record(self, shape: Hashable, size: int, seconds: float) -> None:
        super().record(shape, size, SECONDS[size])


def test_the_engine_draws_as_many_at_once_as_is_worth_it(model: LoadedModel) -> None:
    drawing = Drawing(model, pace=Rehearsed())
    for together in (1, 2, 4, 8, 16):
        drawing.run(*(request(f"{together} {k}", seed=k, num_inference_steps=4) for k in range(together)))
    drawing.calls.clear()
    drawing.run(*(request(str(k), seed=k, num_inference_steps=4) for k in range(16)))
    assert drawing.calls == [4] * 16
    ends = [int(id) for id, events in drawing.events.items() if isinstance(events[-1], Finished) and " " not in id]
    assert ends == list(range(16))
    for k in (0, 15):
        assert_same(drawing.pictures(str(k)), draw(model, request(seed=k, num_inference_steps=4)).pictures())
