"""A cluster's workers: its scheduler lists who is present, each worker gets one attempt, a broken connection ends the search."""

from __future__ import annotations

import queue
import time
from collections.abc import Collection, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distributed.comm import CommClosedError
from tornado.ioloop import IOLoop

from ..errors import ClusterGone, InputError
from .assignments import Assignments
from .liveness import Liveness
from .retries import WORKER_GONE
from .scheduler import Vetting, ask_workers, connect_client

LOOK_SECONDS = 2.0  # between two questions to the scheduler
SILENT_SECONDS = 5.0  # a scheduler that does not answer for so long is silent
BEGIN_SECONDS = 20.0  # for the workers' first answers


@dataclass(frozen=True)
class Cluster:
    """The scheduler's address, and a file of the store: a worker that cannot write to it is not used."""

    address: str
    shared: Path


class ClusterBackend:
    """A cluster's workers; they may come and go. `notes` takes lines for the screen."""

    def __init__(self, cluster: Cluster, notes: queue.Queue[str], loop: IOLoop) -> None:
        self.address = cluster.address
        self.client = connect_client(cluster.address, loop)
        self._notes = notes
        self._comm = self.client.scheduler_comm  # if it changes, the scheduler has forgotten our attempts
        self._assignments = Assignments()
        self._vetting = Vetting(self.client, str(cluster.shared))
        self._question: Future[Collection[str]] | None = None
        self._asked = time.monotonic()
        self._waits_for = ""
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    @property
    def count(self) -> int:
        return len(self._assignments.trusted)

    @property
    def usable(self) -> list[str] | None:
        return self._assignments.trusted

    def _begin(self) -> None:
        """Wait for the first workers that are fit. Raises InputError if there are none."""
        deadline = time.monotonic() + BEGIN_SECONDS
        try:
            present = ask_workers(self.client).result(SILENT_SECONDS)
        except Exception as error:
            raise InputError(f"--cluster: the scheduler at {self.address} does not answer ({type(error).__name__}).") from error
        if not present:
            raise InputError(
                f"--cluster: the scheduler at {self.address} has no workers; start some with `dask worker {self.address}`."
            )
        while True:
            self._assignments.look(self._vetting.look(present), time.monotonic())
            if self._vetting.is_done or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        if not self.count:
            why = "; ".join(self._vetting.refusals) or f"none of them answered in {BEGIN_SECONDS:.0f} s"
            raise InputError(f"--cluster: no worker of the scheduler at {self.address} can be used: {why}.")

    def choose(self, task: str) -> list[str] | None:
        return [self._assignments.take(task)]

    def release(self, task: str) -> None:
        self._assignments.release(task)

    def free(self, address: str) -> None:
        self._assignments.trust(address)

    def look(self, liveness: Liveness, now: float) -> list[str]:
        if self._is_gone:
            raise self._gone()
        while self._vetting.refusals:
            self._notes.put(self._vetting.refusals.pop(0))
        gone: list[str] = []
        if self._question is not None and self._question.done():
            gone = self._read(self._question, now)
            self._question = None
        elif self._question is None and now - self._asked > LOOK_SECONDS:
            self._question, self._asked = ask_workers(self.client), now
        is_silent = self._question is not None and now - self._asked > SILENT_SECONDS
        if is_silent:
            liveness.excuse(now)  # signs of life come through the scheduler
        self._tell("the scheduler" if is_silent else "" if self.count else "any worker")
        return gone

    def give_up(self, task: str, liveness: Liveness, now: float) -> bool:
        if liveness.pid(task) is not None:
            self._assignments.distrust(task)  # until that attempt is over there
        else:  # perhaps it does other users' work, and nothing reports when that ends
            self._assignments.distrust(task, now + liveness.grace)
        return True

    def explain(self, now: float) -> str:
        return WORKER_GONE

    @contextmanager
    def guard(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self._is_gone or isinstance(error, CommClosedError):
                raise self._gone() from error
            raise

    def close(self) -> None:
        self.client.close(timeout=5)

    def _read(self, answer: Future[Collection[str]], now: float) -> list[str]:
        """The attempts whose workers are gone, by the scheduler's answer. An answer that failed shows nothing."""
        if answer.exception() is not None:
            return []
        return self._assignments.look(self._vetting.look(answer.result()), now)

    def _tell(self, waits_for: str) -> None:
        """Print once what the search waits for."""
        if waits_for and waits_for != self._waits_for:
            where = f"of the cluster at {self.address}"
            self._notes.put(f"no answer from {waits_for} {where}; the search waits for it (Ctrl-C stops it; nothing is lost)")
        self._waits_for = waits_for

    @property
    def _is_gone(self) -> bool:
        """Whether the connection broke. Dask reconnects by itself, but the scheduler has then forgotten what it ran for us."""
        return self.client.scheduler_comm is not self._comm or self._comm.comm.closed()

    def _gone(self) -> ClusterGone:
        return ClusterGone(
            f"--cluster: the scheduler at {self.address} is gone. Nothing is lost; start it and its workers again, "
            "and the same command resumes"
        )
