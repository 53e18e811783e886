"""Who does what on somebody else's cluster: one attempt a worker, and a worker that was silent trusted again when it is free."""

from __future__ import annotations

from tailor.experiments.workers.assignments import Assignments


def test_each_attempt_has_a_worker_of_its_own() -> None:
    assignments = Assignments(["a", "b"])
    assert {assignments.take("one"), assignments.take("two")} == {"a", "b"} and len(assignments.trusted) == 2
    assignments.release("one")
    assert assignments.take("three") == "a"


def test_attempts_of_workers_that_are_gone_are_returned() -> None:
    assignments = Assignments(["a", "b"])
    assignments.take("one"), assignments.take("two")
    assert assignments.look(["b", "c"], 0.0) == ["one"] and len(assignments.trusted) == 2
    assignments.release("one")
    assert assignments.take("one, again") == "c" and assignments.look(["b", "c"], 0.0) == []


def test_a_silent_worker_gets_nothing_until_it_is_awake_and_free() -> None:
    assignments = Assignments(["a", "b"])
    assert assignments.take("one") == "a"
    assignments.distrust("one")
    assignments.release("one")
    assert len(assignments.trusted) == 1 and assignments.take("again") == "b"
    assignments.look(["a", "b"], 0.0)
    assert len(assignments.trusted) == 1
    assignments.trust("a")
    assert len(assignments.trusted) == 2 and assignments.take("next") == "a"


def test_a_worker_that_comes_back_begins_anew() -> None:
    assignments = Assignments(["a", "b"])
    assignments.take("one")
    assignments.distrust("one")
    assignments.look(["b"], 0.0)
    assignments.look(["a", "b"], 0.0)
    assert len(assignments.trusted) == 2


def test_a_worker_that_never_began_is_tried_again_after_a_while() -> None:
    """It was at somebody else's work, it may be, and nobody tells us when that is over."""
    assignments = Assignments(["a"])
    assignments.take("one")
    assignments.distrust("one", until=60.0)
    assignments.look(["a"], 59.0)
    assert len(assignments.trusted) == 0
    assignments.look(["a"], 61.0)
    assert len(assignments.trusted) == 1
