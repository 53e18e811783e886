"""The workers: a Dask cluster of processes here, or one that somebody started, behind one queue of events."""

from __future__ import annotations

import dataclasses
import math
import os
import queue
import signal
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from distributed import Client, Event, Future, LocalCluster, Queue
from tornado.ioloop import IOLoop

from ..errors import RunError
from ..system import memory
from ..system.forkserver import begin_loading, end_loading
from ..system.memory import OUT_OF_MEMORY
from ..trials.job import EpochReport, TrialJob, TrialResult
from ..trials.preflight import Preflight
from . import cluster, worker
from .assignments import Roster
from .retries import NOT_BEGUN, WORKER_GONE

PREFLIGHT_SECONDS = 600  # for the first build of a model, TensorFlow's imports included
LOOK_SECONDS = 2.0  # between two looks at who is there on somebody else's cluster
STARVED_SECONDS = 10.0  # a worker that goes away so soon after a kill for want of memory was what was killed


@dataclass(frozen=True)
class Lost:
    """An attempt whose worker went away."""

    trial: int
    attempt: int
    reason: str


@dataclass(frozen=True)
class Sign:
    """A running attempt's sign of life: its worker's process (0: none yet), and when it was heard (monotonic seconds)."""

    pid: int
    heard: float


PoolEvent = EpochReport | TrialResult | Lost


class Pool:
    """Runs attempts on workers, one at a time each. `events` brings reports, results and losses in order per worker."""

    def __init__(self, client: Client, own: LocalCluster | None, count: int, grace: float) -> None:
        self._roster = Roster(cluster.addresses(client)) if own is None else None
        self._count = count
        self._grace = grace
        self.events: queue.Queue[PoolEvent] = queue.Queue()
        self.notes: queue.Queue[str] = queue.Queue()  # for a person to read
        self._client = client
        self._own = own
        self._held = ExitStack()  # Dask's settings, which are this pool's alone
        self._futures: dict[str, Future] = {}
        self._answers: dict[str, Queue] = {}
        self._jobs: dict[str, TrialJob] = {}
        self._signs: dict[str, Sign] = {}  # the last one of each running attempt
        self._begun: set[str] = set()
        self._killed, self._starved = memory.kills(), -math.inf  # for want of memory; when that count rose last
        self._watched = self._looked = time.monotonic()
        self._line = f"tailor-{uuid.uuid4().hex}"  # others may use the same cluster
        self._stop = Event(self._line, client=client)
        client.subscribe_topic(self._line, lambda event: self._heard(event[1]))

    @property
    def count(self) -> int:
        """How many attempts can run at once."""
        return self._count if self._roster is None else self._roster.count

    @classmethod
    def open(cls, count: int, threads: int, grace: float, address: str | None = None) -> Pool:
        """Start `count` workers of `threads` threads each, or connect to the scheduler at `address` and use all of its own.

        One that gives no sign of life for `grace` seconds is given up.
        """
        with ExitStack() as held:
            loop = held.enter_context(cluster.prepared())
            if address is not None:
                client = cluster.connect(address, loop)
                pool = cls(client, None, len(cluster.addresses(client)), grace)
            else:
                own = _started(count, threads, loop)
                pool = cls(Client(own, loop=loop, set_as_default=False), own, count, grace)
            pool._held = held.pop_all()
        return pool

    def preflight(self, job: TrialJob) -> Preflight:
        """Build the job's model on a worker, and say what was found. Raises what the trial would fail with."""
        future = self._client.submit(worker.preflight, job, pure=False)
        try:
            return future.result(timeout=PREFLIGHT_SECONDS)
        except TimeoutError as error:
            raise RunError("the workers did not answer within ten minutes; see whether the machine is out of memory.") from error

    def submit(self, job: TrialJob) -> None:
        """Start an attempt; its end comes as a TrialResult or a Lost."""
        if job.waits:
            self._answers[job.key] = Queue(worker.queue_name(job, self._line), client=self._client)
        self._jobs[job.key] = job
        chosen = {} if self._roster is None else {"workers": [self._roster.take(job.key)]}
        self._signs[job.key] = Sign(0, time.monotonic())  # nothing is in its way: it is to begin soon
        future = self._client.submit(worker.attempt, job, self._line, key=self._task(job.key), pure=False, **chosen)
        self._futures[job.key] = future
        future.add_done_callback(lambda done: self._ended(job, done))

    def answer(self, job: TrialJob, epoch: int, stop: bool) -> None:
        """Answer the attempt's report of that epoch."""
        if job.key in self._answers:
            self._answers[job.key].put((epoch, stop))

    def forget(self, job: TrialJob) -> None:
        """Release what is held for an ended attempt."""
        self._futures.pop(job.key, None)
        self._jobs.pop(job.key, None)
        self._signs.pop(job.key, None)
        self._begun.discard(job.key)
        if self._roster is not None:
            self._roster.release(job.key)
        answers = self._answers.pop(job.key, None)
        if answers is not None:
            answers.close()

    def watch(self) -> None:
        """Give up the attempts whose workers are silent: a Lost comes as an event. To be called several times a second.

        Dask notices a process that dies; one that is frozen, or whose machine is gone without a word, is for us to notice.
        """
        now, late = time.monotonic(), time.monotonic() - self._watched > self._grace / 2
        self._watched, before = now, self.count
        for key, sign in list(self._signs.items()):
            if key not in self._jobs:  # heard while it was forgotten
                self._signs.pop(key, None)
            elif late:  # it was this process that slept
                self._signs[key] = dataclasses.replace(sign, heard=now)
            elif now - sign.heard > self._grace:
                self._give_up(key, sign)
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            self._count_kills()
            for key in self._roster.look(cluster.addresses(self._client), now) if self._roster is not None else ():
                self._lose(key, self._went_away(key))
        if before and not self.count:
            self.notes.put("no worker of the cluster answers; the search waits for one (Ctrl-C stops it; nothing is lost)")

    def _give_up(self, key: str, sign: Sign) -> None:
        if key not in self._begun and self._own is not None:
            # Frozen before it began, or not given to anybody yet: its end comes from Dask, as with any process that dies.
            self._signs[key] = dataclasses.replace(sign, heard=time.monotonic())
            pid = cluster.process_of(self._client, self._own, self._task(key))
            if not any(other.pid == pid for other in self._signs.values()):  # it waits there behind another attempt
                _kill(pid)
            return
        answers = self._answers.pop(key, None)
        if answers is not None:  # or it would wait for one as soon as it wakes; never closed, as it may not have come so far yet
            answers.put((None, True))
        self._lose(key, f"its worker gave no sign of life for {self._grace:g} s" if key in self._begun else NOT_BEGUN)
        if self._roster is None:
            _kill(sign.pid)  # frozen or not; its nanny starts another
        elif key in self._begun:
            self._roster.distrust(key)  # until that attempt is over there
        else:  # at somebody else's work, it may be, which nobody tells us the end of
            self._roster.distrust(key, time.monotonic() + self._grace)

    def _lose(self, key: str, reason: str) -> None:
        job = self._jobs[key]
        self._signs.pop(key, None)
        self.events.put(Lost(job.trial, job.attempt, reason))

    def _heard(self, event: Mapping[str, Any]) -> None:
        """An event of a worker's, on Dask's own thread."""
        if "report" in event:
            self.events.put(EpochReport(**event["report"]))
            return
        if "note" in event:
            self.notes.put(event["note"])
            return
        if event["alive"] in self._jobs:
            self._begun.add(event["alive"])
            self._signs[event["alive"]] = Sign(event["pid"], time.monotonic())
        if event["over"] and self._roster is not None:
            self._roster.trust(event["address"])

    def stop(self) -> None:
        """Ask every running attempt to end; their results come as events."""
        self._stop.set()

    def close(self) -> None:
        """End the workers that were started here, and the connection."""
        with self._held:
            self._client.unsubscribe_topic(self._line)  # attempts that still run would report to a closed door, which Dask tells
            self._futures.clear()
            self._client.close(timeout=5)
            if self._own is not None:
                self._own.close(timeout=10)

    def _ended(self, job: TrialJob, future: Future) -> None:
        if future.status == "finished":
            self.events.put(future.result())
            return
        error = future.exception() if future.status == "error" else None
        gone = error is None or type(error).__name__ == "KilledWorker"
        self.events.put(Lost(job.trial, job.attempt, self._went_away(job.key) if gone else f"{error}"))

    def _went_away(self, key: str) -> str:
        if key not in self._begun:
            return NOT_BEGUN
        self._count_kills()
        starved = self._own is not None and time.monotonic() - self._starved < STARVED_SECONDS
        return OUT_OF_MEMORY if starved else WORKER_GONE

    def _count_kills(self) -> None:
        before, self._killed = self._killed, memory.kills()
        if self._killed > before:
            self._starved = time.monotonic()

    def _task(self, key: str) -> str:
        """An attempt's name for Dask: others may use the same cluster, for a study of the same name."""
        return f"{self._line}/{key}"


def _started(count: int, threads: int, loop: IOLoop) -> LocalCluster:
    begin_loading()
    try:
        return cluster.local(count, threads, loop)
    except KeyboardInterrupt:
        end_loading()  # or what starts workers would wait, for seconds, until TensorFlow is loaded
        raise


def _kill(pid: int | None) -> None:
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
