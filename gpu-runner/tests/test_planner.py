"""Who shares the next UNet call."""

from __future__ import annotations

from vignette.engine.planner import FAIR, HOLD, Planner


def planner(cap: int = 4) -> Planner[str, str, str]:
    return Planner(lambda key: cap)


def one(work: str) -> int:
    return 1


def test_first_come_first_served_up_to_the_cap() -> None:
    p = planner(2)
    for work in "abc":
        p.add("small", work)
    assert p.admit(one) == ["a", "b"]
    p.activate("small", ["a", "b"])
    assert p.admit(one) == []
    p.retire("small", ["a"])
    assert p.admit(one) == ["c"]
    p.activate("small", ["c"])
    assert p.next_batch() == ("small", ["b", "c"])


def test_keys_take_turns() -> None:
    p = planner()
    for key in ("large", "small"):
        p.add(key, key)
        assert p.admit(one) == [key]
        p.activate(key, [f"{key} picture"])
    turns = [p.next_batch() for _ in range(4)]
    assert [turn[0] for turn in turns if turn] == ["large", "small", "large", "small"]


def test_a_full_line_does_not_hold_up_another_key() -> None:
    p = planner(1)
    p.add("large", "a")
    p.add("large", "b")
    p.add("small", "c")
    assert p.admit(one) == ["a", "c"]


def test_work_with_several_pictures_counts_them() -> None:
    p = planner(4)
    p.add("k", "three")
    p.add("k", "two")
    p.add("k", "one more")
    assert p.admit({"three": 3, "two": 2, "one more": 1}.__getitem__) == ["three", "two"]
    p.activate("k", ["1", "2", "3", "4", "5"])
    assert p.next_batch() == ("k", ["1", "2", "3", "4"])


def test_waiting_work_can_be_taken_back() -> None:
    p = planner(1)
    p.add("k", "a")
    p.add("k", "b")
    p.remove_waiting("k", "a")
    p.remove_waiting("k", "never added")
    assert p.admit(one) == ["b"]
    p.retire("k", [])
    assert p.idle
    assert p.next_batch() is None


def in_order(p: Planner[str, str, str]) -> list[str]:
    return p.admit(one)


def test_the_most_urgent_come_first() -> None:
    p = planner(10)
    for work, urgency in (("whenever", 7), ("usual", 3), ("now", 0), ("usual too", 3)):
        p.add("small", work, urgency)
    assert in_order(p) == ["now", "usual", "usual too", "whenever"]


def test_callers_take_turns() -> None:
    p = planner(10)
    for work in ("a1", "a2", "a3", "b1", "a4", "c1"):
        p.add("small", work, caller=work[0])
    assert in_order(p) == ["a1", "b1", "c1", "a2", "a3", "a4"]


def test_turns_go_on_over_several_admissions() -> None:
    p = planner(2)
    for work in ("a1", "a2", "a3", "b1", "b2"):
        p.add("small", work, caller=work[0])
    admitted = p.admit(one)
    p.activate("small", admitted)
    p.retire("small", admitted)
    assert admitted + p.admit(one) == ["a1", "b1", "a2", "b2"]


def test_what_is_taken_back_from_the_line_has_no_turn() -> None:
    p = planner(10)
    for work in ("a1", "b1", "a2"):
        p.add("small", work, caller=work[0])
    p.remove_waiting("small", "b1")
    p.remove_waiting("small", "unknown")
    assert in_order(p) == ["a1", "a2"]
    p.add("small", "c1", 5)
    p.remove_waiting("small", "c1")
    assert p.idle


def with_urgency(cap: int) -> Planner[str, str, str]:
    """Rows begin with their urgency."""
    return Planner(lambda key: cap, urgency=lambda row: int(row[0]))


def test_the_most_urgent_key_is_drawn_and_the_others_do_not_stand_still() -> None:
    p = with_urgency(2)
    p.activate("large", ["7 large"])
    p.activate("medium", ["7 medium"])
    p.activate("small", ["0 small"])
    turns = [turn[0] for turn in (p.next_batch() for _ in range(2 * FAIR)) if turn]
    assert turns == [*["small"] * (FAIR - 1), "large", *["small"] * (FAIR - 1), "medium"]


def test_the_urgent_do_not_wait_for_what_has_begun() -> None:
    p = with_urgency(2)
    p.activate("k", ["7 old", "7 new"])
    for work in ("0 first", "7 third", "0 second"):
        p.add("k", work, int(work[0]))
    assert p.admit(one) == ["0 first", "0 second"]
    p.activate("k", ["0 first"])
    assert p.next_batch() == ("k", ["7 old", "0 first"])
    p.activate("k", ["0 second"])
    assert p.next_batch() == ("k", ["0 first", "0 second"])
    assert p.admit(one) == []
    p.next_batch()
    assert p.next_batch() == ("k", ["7 old", "7 new"])  # those that have begun do not stand still


def test_of_too_many_rows_the_oldest_and_the_briefest_are_drawn() -> None:
    left = {"long": 90, "old": 50, "middle": 20, "brief": 3, "new": 4}
    p: Planner[str, str, str] = Planner(lambda key: 16, lambda key, cap: 4, lambda row: left[row])
    p.activate("key", left)
    assert p.next_batch() == ("key", ["long", "old", "brief", "new"])
    p.retire("key", ["brief"])
    assert p.next_batch() == ("key", ["long", "old", "middle", "new"])


def test_the_oldest_goes_on_whatever_comes() -> None:
    p: Planner[str, str, int] = Planner(lambda key: 16, lambda key, cap: 1, lambda row: row)
    p.activate("key", [100])
    for brief in (1, 2, 3):
        p.activate("key", [brief])
        assert p.next_batch() == ("key", [100])


def with_sets(cap: int = 4) -> Planner[str, str, str]:
    """Keys are a place, the set that it has to hold, and whatever else tells them apart: `xA1`."""
    return Planner(lambda key: cap, urgency=lambda row: int(row[0]), weights=lambda key: (key[0], key[1]))


def turns(p: Planner[str, str, str], count: int) -> list[str]:
    return [turn[0] for turn in (p.next_batch() for _ in range(count)) if turn]


def test_a_set_of_weights_keeps_its_place_for_a_while() -> None:
    p = with_sets()
    for key in ("xA", "xB"):
        p.activate(key, ["3"])
    assert turns(p, 3 * HOLD) == ["xA"] * HOLD + ["xB"] * HOLD + ["xA"] * HOLD


def test_keys_of_the_same_set_and_of_other_places_take_turns_meanwhile() -> None:
    p = with_sets()
    for key in ("xA1", "xA2", "xB", "yA"):
        p.activate(key, ["3"])
    served = turns(p, 10 * HOLD)
    assert served[:6] == ["xA1", "xA2", "yA"] * 2
    sets = [key[1] for key in served if key[0] == "x"]
    assert sets[: 3 * HOLD] == ["A"] * HOLD + ["B"] * HOLD + ["A"] * HOLD
    assert all("yA" in served[k : k + 4] for k in range(len(served) - 3))


def test_a_set_that_has_had_its_calls_gives_way_at_once() -> None:
    p = with_sets()
    p.activate("xA", ["3"])
    turns(p, 2 * HOLD)
    p.activate("xB", ["3"])
    assert "xB" in turns(p, 2)


def test_the_urgent_need_not_wait_for_another_set() -> None:
    p = with_sets()
    p.activate("xA", ["7"])
    assert turns(p, 1) == ["xA"]
    p.activate("xB", ["0"])
    served = turns(p, 4 * HOLD)
    assert served[0] == "xB"
    assert 1 <= served.count("xA") <= 4  # it does not stand still either


def test_no_more_is_taken_out_of_line_than_asked_for() -> None:
    p = planner(10)
    for work in ("a1", "a2", "a3"):
        p.add("large", work, 3)
    for work in ("b1", "b2"):
        p.add("small", work, 3)
    p.add("small", "now", 0)
    assert p.admit(one, most=2) == ["now", "a1"]
    assert p.admit(one, most=2) == ["b1", "a2"]
    assert p.admit(one) == ["b2", "a3"]
    assert p.idle
