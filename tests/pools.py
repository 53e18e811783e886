"""What the suites over a pool of workers share: its events until a sign comes, or until an attempt's end."""

from __future__ import annotations

import time
from collections.abc import Callable

from tailor.experiments.trials.job import TrialResult
from tailor.experiments.workers.pool import Lost, Note, Pool, WorkerEvent


def watch_until(pool: Pool, sign: Callable[[list[WorkerEvent]], bool]) -> list[WorkerEvent]:
    """Wait as a coordinator does until the sign is there, and return the events that came."""
    deadline, events = time.monotonic() + 60, list[WorkerEvent]()
    while not sign(events):
        assert time.monotonic() < deadline, f"it did not come within a minute; notes: {notes(events)}"
        events += pool.wait(0.05)
    return events


def notes(events: list[WorkerEvent]) -> list[str]:
    """What the events have to say to a person."""
    return [event.text for event in events if isinstance(event, Note)]


def wait_for_end(pool: Pool) -> TrialResult | Lost:
    """The next attempt's end; its reports are left out."""
    ends = lambda events: [event for event in events if isinstance(event, (TrialResult, Lost))]  # noqa: E731
    return ends(watch_until(pool, lambda events: bool(ends(events))))[0]
