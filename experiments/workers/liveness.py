"""Which running attempts are silent, and whether a worker died because memory ran out. Pure: the caller gives the time.

All times are monotonic seconds.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from dataclasses import dataclass

STARVED_SECONDS = 10.0  # a worker that goes away so soon after an out-of-memory kill is the one that was killed


@dataclass(frozen=True)
class Sign:
    """An attempt's last sign of life: its worker's process (None before the attempt begins), and its time."""

    pid: int | None
    heard: float


class Liveness:
    """The running attempts, by their tasks' names. An attempt without a sign of life for `grace` seconds is silent."""

    def __init__(self, grace: float, now: float) -> None:
        self.grace = grace
        self._signs: dict[str, Sign] = {}
        self._looked = now

    def expect(self, task: str, now: float) -> None:
        """The attempt should begin soon: nothing blocks it."""
        self._signs[task] = Sign(None, now)

    def hear(self, task: str, pid: int, now: float) -> None:
        """The attempt gives a sign of life; ignored if the attempt is no longer expected."""
        if task in self._signs:
            self._signs[task] = Sign(pid, now)

    def forget(self, task: str) -> None:
        """The attempt is over, or given up."""
        self._signs.pop(task, None)

    def pid(self, task: str) -> int | None:
        """The process that the attempt runs in; None if it has not begun."""
        sign = self._signs.get(task)
        return None if sign is None else sign.pid

    @property
    def pids(self) -> Collection[int]:
        """The processes that attempts run in."""
        return {sign.pid for sign in self._signs.values() if sign.pid is not None}

    def excuse(self, now: float) -> None:
        """No worker could be heard until now: every attempt gets its full grace again."""
        self._signs = {task: dataclasses.replace(sign, heard=now) for task, sign in self._signs.items()}

    def silent(self, now: float) -> list[str]:
        """The attempts past their grace. Call it several times within the grace: a late call excuses all of them."""
        if now - self._looked > self.grace / 2:  # this process itself slept
            self.excuse(now)
        self._looked = now
        return [task for task, sign in self._signs.items() if now - sign.heard > self.grace]


class Starvation:
    """Recognizes a worker that the system killed for its memory, by the system's count of such kills."""

    def __init__(self, kills: int) -> None:
        self._kills = kills
        self._rose = -math.inf

    def count(self, kills: int, now: float) -> None:
        """Note the count. Call it every few seconds."""
        if kills > self._kills:
            self._rose = now
        self._kills = kills

    def is_recent(self, now: float) -> bool:
        """Whether the system killed a process a moment ago."""
        return now - self._rose < STARVED_SECONDS
