"""Who does what on somebody else's cluster: which workers are there, which of them are trusted, and which attempt each has. Pure.

An attempt is given to one worker alone. Dask would otherwise run it again elsewhere when that one dies, by the rules of a
scheduler that is not ours, and the same attempt would run twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable


class Roster:
    """Of workers by their addresses, and attempts by their keys."""

    def __init__(self, present: Iterable[str]) -> None:
        self._present = set(present)
        self._silent: dict[str, float] = {}  # until when (monotonic seconds)
        self._places: dict[str, str] = {}

    @property
    def count(self) -> int:
        """How many workers can be given an attempt, busy or not."""
        return len(self._present - self._silent.keys())

    def take(self, key: str) -> str:
        """Give an attempt to a worker that has none, or where there is no such to any."""
        trusted = sorted(self._present - self._silent.keys()) or sorted(self._present) or ["none"]
        busy = set(self._places.values())
        self._places[key] = next((address for address in trusted if address not in busy), trusted[0])
        return self._places[key]

    def release(self, key: str) -> None:
        """The attempt is over."""
        self._places.pop(key, None)

    def distrust(self, key: str, until: float = math.inf) -> None:
        """The attempt's worker is silent: it gets nothing more until it is trusted again, or that moment (monotonic seconds)."""
        if key in self._places:
            self._silent[self._places[key]] = until

    def trust(self, address: str) -> None:
        """The worker is awake, and done with what it was at."""
        self._silent.pop(address, None)

    def look(self, present: Iterable[str], now: float) -> list[str]:
        """Take note of who is there now; answers the attempts whose workers are gone."""
        self._present = set(present)
        # One that comes back under the same address begins anew.
        for address, until in list(self._silent.items()):  # `trust` is called from another thread
            if address not in self._present or until <= now:
                self._silent.pop(address, None)
        return [key for key, address in self._places.items() if address not in self._present]
