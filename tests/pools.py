"""What the suites over a pool of workers share: watching it until a sign comes, or an attempt's end."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable

from tailor.experiments.trials.job import TrialResult
from tailor.experiments.workers.pool import Lost, Pool


def watch_until(pool: Pool, sign: Callable[[], bool]) -> None:
    """Watch the pool, as its coordinator does, until the sign is there."""
    deadline = time.monotonic() + 60
    while not sign():
        assert time.monotonic() < deadline, f"it did not come within a minute; notes: {list(pool.notes.queue)}"
        pool.watch()
        time.sleep(0.05)


def wait_for_end(pool: Pool) -> TrialResult | Lost:
    """The next attempt's end; its reports are left out."""
    ends: list[TrialResult | Lost] = []

    def ended() -> bool:
        try:
            event = pool.events.get_nowait()
        except queue.Empty:
            return False
        ends.extend([event] if isinstance(event, (TrialResult, Lost)) else [])
        return bool(ends)

    watch_until(pool, ended)
    return ends[0]
