"""The workers: a Dask cluster of processes here, or one that somebody started, behind one queue of events."""

from __future__ import annotations

import logging
import queue
import uuid
from dataclasses import dataclass
from typing import Any

import dask
from distributed import Client, Event, Future, LocalCluster, Queue

from experiments import worker
from experiments.errors import InputError, RunError
from experiments.trial import EpochReport, TrialJob, TrialResult
from experiments.workshop import METHOD, begin_loading

START_SECONDS = 60
DASK_CONFIG: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 0,  # only the coordinator retries
    "distributed.worker.multiprocessing-method": METHOD,
    "distributed.nanny.pre-spawn-environ": {},  # Dask's own trims malloc at 64 KiB, which costs TensorFlow 10–20 %
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
}


@dataclass(frozen=True)
class Lost:
    """An attempt whose worker went away."""

    trial: int
    attempt: int
    reason: str


PoolEvent = EpochReport | TrialResult | Lost


class Pool:
    """Runs attempts on workers, one at a time each. `events` brings reports, results and losses in order per worker."""

    def __init__(self, client: Client, cluster: LocalCluster | None, count: int) -> None:
        self.count = count
        self.events: queue.Queue[PoolEvent] = queue.Queue()
        self._client = client
        self._cluster = cluster
        self._futures: dict[str, Future] = {}
        self._answers: dict[str, Queue] = {}
        self._line = f"tailor-{uuid.uuid4().hex}"  # others may use the same cluster
        self._stop = Event(self._line, client=client)
        client.subscribe_topic(self._line, lambda event: self.events.put(EpochReport(**event[1]["report"])))

    @classmethod
    def open(cls, count: int, threads: int, address: str | None = None) -> Pool:
        """Start `count` workers of `threads` threads each, or connect to the scheduler at `address` and use all of its own."""
        begin_loading()
        dask.config.set(DASK_CONFIG)
        for name in ("distributed", "distributed.worker", "distributed.nanny", "distributed.scheduler", "bokeh", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if address is not None:
            return cls._connect(address)
        cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            memory_limit=0,
            preload=["experiments.worker"],
            env={worker.THREADS: str(threads), worker.COUNT: str(count)},
        )
        return cls(Client(cluster), cluster, count)

    @classmethod
    def _connect(cls, address: str) -> Pool:
        try:
            client = Client(address, timeout=5)
        except (OSError, ValueError) as error:
            raise InputError(
                f"--cluster: no Dask scheduler answers at {address!r} ({type(error).__name__}); start one with `dask scheduler` "
                "and workers with `dask worker ADDRESS --nthreads 1`."
            ) from error
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        if not count:
            client.close()
            raise InputError(f"--cluster: the scheduler at {address} has no workers; start some with `dask worker {address}`.")
        return cls(client, None, count)

    def preflight(self, job: TrialJob) -> worker.Preflight:
        """Build the job's model on a worker, and say what was found. Raises what the trial would fail with."""
        future = self._client.submit(worker.preflight, job, pure=False)
        try:
            return future.result(timeout=10 * START_SECONDS)
        except TimeoutError as error:
            raise RunError("the workers did not answer within ten minutes; see whether the machine is out of memory.") from error

    def submit(self, job: TrialJob) -> None:
        """Start an attempt; its end comes as a TrialResult or a Lost."""
        if job.waits:
            self._answers[job.key] = Queue(job.key, client=self._client)
        future = self._client.submit(worker.attempt, job, self._line, key=job.key, pure=False)
        self._futures[job.key] = future
        future.add_done_callback(lambda done: self._ended(job, done))

    def answer(self, job: TrialJob, epoch: int, stop: bool) -> None:
        """Answer the attempt's report of that epoch."""
        if job.key in self._answers:
            self._answers[job.key].put((epoch, stop))

    def forget(self, job: TrialJob) -> None:
        """Release what is held for an ended attempt."""
        self._futures.pop(job.key, None)
        answers = self._answers.pop(job.key, None)
        if answers is not None:
            answers.close()

    def stop(self) -> None:
        """Ask every running attempt to end; their results come as events."""
        self._stop.set()

    def close(self) -> None:
        """End the workers that were started here, and the connection."""
        self._futures.clear()
        self._client.close(timeout=5)
        if self._cluster is not None:
            self._cluster.close(timeout=10)

    def _ended(self, job: TrialJob, future: Future) -> None:
        if future.status == "finished":
            self.events.put(future.result())
            return
        error = future.exception() if future.status == "error" else None
        reason = "its worker went away" if error is None or type(error).__name__ == "KilledWorker" else f"{error}"
        self.events.put(Lost(job.trial, job.attempt, reason))
