"""Which lost attempts count against a trial's retries."""

from __future__ import annotations

import pytest

from tailor.experiments.workers.retries import COORDINATOR_GONE, MOST_NOT_BEGUN, NOT_BEGUN, WORKER_GONE, Retries


@pytest.mark.parametrize(
    ("reasons", "times"),
    [
        ([WORKER_GONE] * 2, 0),
        ([WORKER_GONE] * 3, 3),
        ([COORDINATOR_GONE] * 9, 0),
        ([NOT_BEGUN] * MOST_NOT_BEGUN + [WORKER_GONE] * 2, 0),
        ([NOT_BEGUN] * (MOST_NOT_BEGUN + 1), MOST_NOT_BEGUN + 1),
        (["its worker gave no sign of life for 60 s", WORKER_GONE, "MemoryError"], 3),
    ],
)
def test_when_a_trial_was_lost_often_enough(reasons: list[str], times: int) -> None:
    retries = Retries(retries=2)
    for reason in reasons:
        retries.add(7, reason)
    assert retries.enough(7) == times
    assert retries.enough(8) == 0
