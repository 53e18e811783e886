"""What the pool asks of the workers behind it, be they our own (local.py) or of somebody else's cluster (cluster.py)."""

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
        """How many attempts can run at once."""

    @property
    def usable(self) -> list[str] | None:
        """The workers that may be given work; None leaves the choice to Dask."""

    def choose(self, task: str) -> list[str] | None:
        """The worker that an attempt is given to; None leaves the choice to Dask."""

    def release(self, task: str) -> None:
        """The attempt is over, as far as the coordinator is concerned."""

    def free(self, address: str) -> None:
        """A worker says that it is done with an attempt, perhaps one that was given up."""

    def look(self, liveness: Liveness, now: float) -> list[str]:
        """See who is there. Returns the attempts whose workers are gone.

        While nobody can be heard, all are excused. Raises RunError when nobody will be heard any more.
        """

    def give_up(self, task: str, liveness: Liveness, now: float) -> bool:
        """Act on an attempt's silence. True: it is lost, and its worker gets nothing more; False: its end comes from Dask."""

    def explain(self, now: float) -> str:
        """Why a worker went away just now in the middle of an attempt."""

    def guard(self) -> AbstractContextManager[None]:
        """Around what speaks to the scheduler: a connection that is gone becomes a RunError that names it."""

    def close(self) -> None:
        """End the connection, and the workers that were started here."""
