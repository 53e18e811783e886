"""What the pool needs from its workers, either our own (local.py) or a cluster's (cluster.py)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from distributed import Client

from .liveness import Liveness


class Backend(Protocol):
    """Workers by their addresses, and attempts by their tasks' names. Times are monotonic seconds."""

    client: Client

    @property
    def count(self) -> int:
        """The number of attempts that can run at once."""

    @property
    def usable(self) -> list[str] | None:
        """The workers that may get work; None leaves the choice to Dask."""

    def choose(self, task: str) -> list[str] | None:
        """The worker that gets an attempt; None leaves the choice to Dask."""

    def release(self, task: str) -> None:
        """The attempt is over for the coordinator."""

    def free(self, address: str) -> None:
        """A worker reports that it has finished an attempt, perhaps one that was given up."""

    def look(self, liveness: Liveness, now: float) -> list[str]:
        """See which workers are present. Returns the attempts whose workers are gone.

        While no worker can be heard, all are excused. Raises RunError if the scheduler is gone for good.
        """

    def give_up(self, task: str, liveness: Liveness, now: float) -> bool:
        """Act on an attempt's silence. True: it is lost, and its worker gets no more work; False: Dask reports its end."""

    def explain(self, now: float) -> str:
        """Why a worker went away just now during an attempt."""

    def guard(self) -> AbstractContextManager[None]:
        """For calls to the scheduler: if the connection is gone, raises a RunError that names it."""

    def close(self) -> None:
        """End the connection, and the workers that we started."""
