"""How often each trial lost an attempt with its worker, and when that is too often."""

from __future__ import annotations

from collections import Counter

COORDINATOR_GONE = "the coordinator went away"
WORKER_GONE = "its worker went away"
NOT_BEGUN = "its worker went away before it began"  # the attempt waited there behind another
MOST_NOT_BEGUN = 20  # per trial: else workers that die as they start are tried for ever


class Retries:
    """A study's lost attempts, by trial. Only losses that the trial may have caused count against its retries."""

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._begun: Counter[int] = Counter()
        self._not_begun: Counter[int] = Counter()

    def add(self, trial: int, reason: str) -> None:
        """Count a loss, by its reason."""
        if reason != COORDINATOR_GONE:
            (self._not_begun if reason == NOT_BEGUN else self._begun)[trial] += 1

    def enough(self, trial: int) -> int:
        """The number of the trial's losses, if it is too large to try again; 0 otherwise."""
        if self._begun[trial] <= self._retries and self._not_begun[trial] <= MOST_NOT_BEGUN:
            return 0
        return self._begun[trial] + self._not_begun[trial]
