"""Who does what on a cluster: which workers are present, which of them are trusted, and which attempt each has. Pure.

Each attempt goes to one worker alone. Otherwise, if that worker dies, Dask runs it again elsewhere, by the rules of a scheduler
that is not ours, and the same attempt runs twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


class Assignments:
    """Assigns attempts (by their tasks' names) to workers (by their addresses)."""

    def __init__(self, present: Iterable[str] = ()) -> None:
        self._present = set(present)
        self._silent: dict[str, float] = {}  # until when (monotonic seconds)
        self._places: dict[str, str] = {}

    @property
    def trusted(self) -> list[str]:
        """The workers that can get an attempt, busy or not."""
        return sorted(self._present - self._silent.keys())

    def take(self, task: str) -> str:
        """Give an attempt to a worker that has none, or to any worker if all are busy."""
        candidates = self.trusted or sorted(self._present) or ["none"]
        busy = set(self._places.values())
        self._places[task] = next((address for address in candidates if address not in busy), candidates[0])
        return self._places[task]

    def release(self, task: str) -> None:
        """The attempt is over."""
        self._places.pop(task, None)

    def distrust(self, task: str, until: float = math.inf) -> None:
        """The attempt's worker is silent: it gets no attempt until it is trusted again, or until then (monotonic seconds)."""
        if task in self._places:
            self._silent[self._places[task]] = until

    def trust(self, address: str) -> None:
        """The worker is awake, and has finished its attempt."""
        self._silent.pop(address, None)

    def look(self, present: Iterable[str], now: float) -> list[str]:
        """Note which workers are present. Returns the attempts whose workers are gone."""
        self._present = set(present)
        # A worker that comes back under the same address is trusted again.
        self._silent = {address: until for address, until in self._silent.items() if address in self._present and until > now}
        return [task for task, address in self._places.items() if address not in self._present]
