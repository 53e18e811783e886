"""Which attempts are silent, by a clock of the test's own: frozen, late, not begun, back again; and kills for want of memory."""

from __future__ import annotations

from tailor.experiments.workers.liveness import Liveness, Starvation

GRACE = 60.0


def looked(liveness: Liveness, until: float, since: float = 0.0) -> list[str]:
    """What is silent at `until`, after a look each second since then."""
    silent: list[str] = []
    for second in range(int(since), int(until) + 1):
        silent = liveness.silent(float(second))
    return silent


def test_a_frozen_worker_is_silent_after_the_grace_and_not_before() -> None:
    liveness = Liveness(GRACE, now=0.0)
    liveness.expect("one", 0.0), liveness.expect("two", 0.0)
    liveness.hear("one", 11, 2.0), liveness.hear("two", 22, 2.0)
    for second in range(4, 70, 2):
        liveness.hear("two", 22, float(second))
        assert liveness.silent(float(second)) == (["one"] if second > 62 else [])
    assert liveness.pid("one") == 11 and set(liveness.pids) == {11, 22}


def test_an_attempt_that_has_not_begun_is_silent_too_and_has_no_process() -> None:
    liveness = Liveness(GRACE, now=0.0)
    liveness.expect("one", 0.0)
    assert looked(liveness, 60) == [] and looked(liveness, 61, since=61) == ["one"]
    assert liveness.pid("one") is None and not liveness.pids
    liveness.expect("one", 61.0)  # it waits behind another attempt: a grace more
    assert looked(liveness, 121, since=62) == [] and looked(liveness, 122, since=122) == ["one"]


def test_a_worker_that_comes_back_within_its_grace_is_as_before() -> None:
    liveness = Liveness(GRACE, now=0.0)
    liveness.expect("one", 0.0)
    liveness.hear("one", 11, 1.0)
    assert looked(liveness, 59) == []
    liveness.hear("one", 11, 59.5)
    assert looked(liveness, 119, since=60) == [] and looked(liveness, 120, since=120) == ["one"]


def test_what_a_given_up_attempt_says_late_counts_for_nothing() -> None:
    liveness = Liveness(GRACE, now=0.0)
    liveness.expect("one", 0.0)
    liveness.hear("one", 11, 1.0)
    liveness.forget("one")
    liveness.hear("one", 11, 70.0)
    assert liveness.pid("one") is None and looked(liveness, 200) == []


def test_after_a_sleep_of_this_process_nobody_is_silent() -> None:
    liveness = Liveness(GRACE, now=0.0)
    liveness.expect("one", 0.0)
    liveness.hear("one", 11, 1.0)
    assert looked(liveness, 20) == []
    assert liveness.silent(600.0) == []
    assert looked(liveness, 660, since=601) == [] and looked(liveness, 661, since=661) == ["one"]


def test_while_nobody_can_be_heard_nobody_is_silent() -> None:
    """As when a cluster's scheduler, by which the signs come, does not answer."""
    liveness = Liveness(GRACE, now=0.0)
    liveness.expect("one", 0.0)
    for second in range(200):
        liveness.excuse(float(second))
        assert liveness.silent(float(second)) == []
    assert looked(liveness, 259, since=200) == [] and looked(liveness, 260, since=260) == ["one"]


def test_a_death_soon_after_a_kill_for_want_of_memory_is_one() -> None:
    starvation = Starvation(kills=3)
    assert not starvation.is_recent(0.0)
    starvation.count(3, 5.0)
    assert not starvation.is_recent(5.0)
    starvation.count(4, 20.0)
    assert starvation.is_recent(20.0) and starvation.is_recent(29.0) and not starvation.is_recent(30.0)
    starvation.count(4, 40.0)
    assert not starvation.is_recent(40.0)
