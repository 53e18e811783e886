"""Whether a worker process has grown too large to continue, compared to its memory after its first trials. Pure."""

from __future__ import annotations

SETTLED = 20  # trials until a process's memory settles; at least as many run between two renewals
FACTOR = 1.1


class Growth:
    """The growth of one worker process."""

    def __init__(self) -> None:
        self._trials = 0
        self._bound = float("inf")
        self.is_too_large = False

    def measure(self, resident: int) -> None:
        """Note the process's resident bytes at the end of a trial."""
        self._trials += 1
        if self._trials == SETTLED:
            self._bound = FACTOR * resident
        self.is_too_large = resident > self._bound
