"""Our own workers: processes on this machine, forked for this search and restarted by Dask when they die."""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import AbstractContextManager, nullcontext, suppress

from distributed import Client, LocalCluster
from tornado.ioloop import IOLoop

from ..system import memory
from . import worker
from .liveness import Liveness, Starvation
from .retries import WORKER_GONE

COUNT_SECONDS = 2.0  # between two looks at the system's count of out-of-memory kills


class LocalBackend:
    """`count` worker processes of `threads` threads each, for trials only."""

    def __init__(self, count: int, threads: int, loop: IOLoop) -> None:
        self.count = count
        self._cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # None still tries port 8787, and warns if it is in use
            silence_logs=logging.CRITICAL,
            loop=loop,
            memory_limit=0,
            preload=[worker.__name__],
            env={worker.THREADS: str(threads), worker.COUNT: str(count)},
        )
        self.client = Client(self._cluster, loop=loop, set_as_default=False)  # the host keeps its default client
        self._starvation, self._counted = Starvation(memory.count_kills()), time.monotonic()

    @property
    def usable(self) -> list[str] | None:
        return None

    def choose(self, task: str) -> list[str] | None:
        return None

    def release(self, task: str) -> None:
        pass

    def free(self, address: str) -> None:
        pass

    def look(self, liveness: Liveness, now: float) -> list[str]:
        if now - self._counted > COUNT_SECONDS:
            self._counted = now
            self._starvation.count(memory.count_kills(), now)
        return []  # Dask restarts a process that dies, and reports it

    def give_up(self, task: str, liveness: Liveness, now: float) -> bool:
        pid = liveness.pid(task)
        if pid is not None:
            _kill(pid)  # frozen or not; its nanny starts another
            return True
        # Frozen before it began, or without a worker yet: Dask reports its end, as for any process that dies.
        given = self._process_of(task)
        if given is not None and given not in liveness.pids:  # else the attempt waits there behind another
            _kill(given)
        return False

    def explain(self, now: float) -> str:
        self._starvation.count(memory.count_kills(), now)
        return memory.OUT_OF_MEMORY if self._starvation.is_recent(now) else WORKER_GONE

    def guard(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        self.client.close(timeout=5)
        self._cluster.close(timeout=10)

    def _process_of(self, task: str) -> int | None:
        """The process of the worker that has the task; None if no worker has it yet."""
        places = [address for address, tasks in self.client.processing().items() if task in tasks]
        return next((nanny.pid for nanny in self._cluster.workers.values() if nanny.worker_address in places), None)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
