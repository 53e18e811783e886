"""Who does what on somebody else's cluster: one attempt a worker, and a worker that was silent trusted again when it is free."""

from __future__ import annotations

from tailor.experiments.workers.assignments import Roster


def test_each_attempt_has_a_worker_of_its_own() -> None:
    roster = Roster(["a", "b"])
    assert {roster.take("one"), roster.take("two")} == {"a", "b"} and roster.count == 2
    roster.release("one")
    assert roster.take("three") == "a"


def test_attempts_of_workers_that_are_gone_are_told() -> None:
    roster = Roster(["a", "b"])
    roster.take("one"), roster.take("two")
    assert roster.look(["b", "c"], 0.0) == ["one"] and roster.count == 2
    roster.release("one")
    assert roster.take("one, again") == "c" and roster.look(["b", "c"], 0.0) == []


def test_a_silent_worker_gets_nothing_until_it_is_awake_and_free() -> None:
    roster = Roster(["a", "b"])
    assert roster.take("one") == "a"
    roster.distrust("one")
    roster.release("one")
    assert roster.count == 1 and roster.take("again") == "b"
    roster.look(["a", "b"], 0.0)
    assert roster.count == 1
    roster.trust("a")
    assert roster.count == 2 and roster.take("next") == "a"


def test_a_worker_that_comes_back_begins_anew() -> None:
    roster = Roster(["a", "b"])
    roster.take("one")
    roster.distrust("one")
    roster.look(["b"], 0.0)
    roster.look(["a", "b"], 0.0)
    assert roster.count == 2


def test_a_worker_that_never_began_is_tried_again_after_a_while() -> None:
    """It was at somebody else's work, it may be, and nobody tells us when that is over."""
    roster = Roster(["a"])
    roster.take("one")
    roster.distrust("one", until=60.0)
    roster.look(["a"], 59.0)
    assert roster.count == 0
    roster.look(["a"], 61.0)
    assert roster.count == 1
