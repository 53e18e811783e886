"""How often each trial lost an attempt with its worker, and when that is enough."""

from __future__ import annotations

from collections import Counter

COORDINATOR_GONE = "the coordinator went away"
WORKER_GONE = "its worker went away"
NOT_BEGUN = "its worker went away before it began"  # it waited there behind another attempt
MOST_NOT_BEGUN = 20  # of a trial: workers that die as they start would be tried for ever


class Retries:
    """A study's lost attempts, by trial. Only losses that the trial may have a part in count against its retries."""

    def __init__(self, retries: int) -> None:
        self._retries = retries
        self._begun: Counter[int] = Counter()
        self._not_begun: Counter[int] = Counter()

    def add(self, trial: int, reason: str) -> None:
        """Note a loss by its reason."""
        if reason != COORDINATOR_GONE:
            (self._not_begun if reason == NOT_BEGUN else self._begun)[trial] += 1

    def enough(self, trial: int) -> int:
        """How often it was lost, when that is too often to try it again; 0 otherwise."""
        if self._begun[trial] <= self._retries and self._not_begun[trial] <= MOST_NOT_BEGUN:
            return 0
        return self._begun[trial] + self._not_begun[trial]
