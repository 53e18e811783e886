"""The workers as the coordinator sees them: attempts go in, events come out of one queue."""

from __future__ import annotations

import dataclasses
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from distributed import Event, Future, KilledWorker, Queue
from tornado.ioloop import IOLoop

from ...search.errors import quote, storable
from ..errors import RunError
from ..system.forkserver import begin_loading, end_loading
from ..trials.job import EpochReport, TrialJob, TrialResult
from ..trials.preflight import Preflight
from . import dask_settings, worker
from .backend import Backend
from .cluster import Cluster, ClusterBackend
from .liveness import Liveness
from .local import LocalBackend
from .retries import NOT_BEGUN

PREFLIGHT_SECONDS = 600  # for the first build of a model, TensorFlow's imports included
BEGIN_SECONDS = 600  # until a worker begins it; others may use a cluster's workers
QUIET_SECONDS = 5.0  # of that without a word


@dataclass(frozen=True)
class Lost:
    """An attempt whose worker went away."""

    trial: int
    attempt: int
    reason: str


@dataclass(frozen=True)
class Note:
    """A line for the screen."""

    text: str


WorkerEvent = EpochReport | TrialResult | Lost | Note


@dataclass(frozen=True)
class Running:
    """What the pool holds for an attempt: its job, Dask's future of its result, and the queue for the answers to its reports."""

    job: TrialJob
    future: Future
    answers: Queue | None


class Pool:
    """Runs attempts on workers, one at a time each. `wait` returns their events, in order per worker.

    Dask calls back on its own thread. Its news of attempts waits in an inbox until `wait` reads it, so that the rules
    (liveness, assignments) run on the coordinator's thread alone.
    """

    def __init__(self, backend: Backend, grace: float, notes: queue.Queue[str]) -> None:
        self._events: queue.Queue[WorkerEvent] = queue.Queue()
        self._notes = notes  # for the screen
        self._backend = backend
        self._held = ExitStack()  # Dask's settings, for this pool alone
        self._running: dict[str, Running] = {}  # by their tasks' names
        self._liveness = Liveness(grace, time.monotonic())
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._line = f"tailor-{uuid.uuid4().hex}"  # others may use the same cluster
        self._stop = Event(self._line, client=backend.client)
        self._begun = threading.Event()  # the preflight, or it has ended
        backend.client.subscribe_topic(self._line, lambda event: self._hear(event[1]))

    @property
    def count(self) -> int:
        """The number of attempts that can run at once."""
        return self._backend.count

    @classmethod
    def open(cls, count: int, threads: int, grace: float, cluster: Cluster | None = None) -> Pool:
        """Start `count` workers of `threads` threads each, or connect to a cluster's scheduler and use all its workers.

        An attempt whose worker gives no sign of life for `grace` seconds is lost. Raises InputError if no scheduler answers at
        the cluster's address, or if none of its workers can run trials.
        """
        notes: queue.Queue[str] = queue.Queue()
        with ExitStack() as held:
            loop = held.enter_context(dask_settings.prepare(own=cluster is None))
            backend = _start_workers(count, threads, loop) if cluster is None else ClusterBackend(cluster, notes, loop)
            held.callback(backend.close)
            pool = cls(backend, grace, notes)
            pool._held = held.pop_all()
        return pool

    def preflight(self, job: TrialJob, say: Callable[[str], None], losses: Mapping[str, str] = {}) -> Preflight:
        """Build the job's model on a worker, check the losses, and return what was found.

        Raises the error that a trial would fail with.

        `say` gets a line if no worker begins soon.
        """
        with self._backend.guard():
            asked = (job, self._line, losses)
            future = self._backend.client.submit(worker.preflight, *asked, pure=False, workers=self._backend.usable)
            future.add_done_callback(lambda _: self._begun.set())
            if not self._begun.wait(QUIET_SECONDS):
                say("no worker is free yet; the search waits for one (Ctrl-C stops it)")
            if not self._begun.wait(BEGIN_SECONDS):
                raise RunError("no worker was free within ten minutes; run the same command again when they have less to do.")
            try:
                return future.result(timeout=PREFLIGHT_SECONDS)
            except KilledWorker as error:
                why = self._backend.explain(time.monotonic())
                raise RunError(f"model {job.model!r} cannot be built: {why}. If nobody killed it, its code crashes.") from error
            except TimeoutError as error:
                if future.done():  # the model's code raised it: a download, say
                    raise
                raise RunError(
                    "the workers did not answer within ten minutes; check whether the machine is out of memory."
                ) from error

    def submit(self, job: TrialJob) -> None:
        """Start an attempt; its end comes as a TrialResult or a Lost."""
        task = self._task(job)
        with self._backend.guard():
            answers = Queue(task, client=self._backend.client) if job.waits else None
            self._liveness.expect(task, time.monotonic())
            places = self._backend.choose(task)
            future = self._backend.client.submit(worker.attempt, job, self._line, key=task, pure=False, workers=places)
        self._running[task] = Running(job, future, answers)
        future.add_done_callback(partial(self._end, job))

    def answer(self, job: TrialJob, epoch: int, stop: bool) -> None:
        """Answer the attempt's report of that epoch."""
        running = self._running.get(self._task(job))
        if running is not None and running.answers is not None:
            with self._backend.guard():
                running.answers.put((epoch, stop))

    def forget(self, job: TrialJob) -> None:
        """Release what the pool holds for an attempt that has ended."""
        task = self._task(job)
        self._liveness.forget(task)
        self._backend.release(task)
        running = self._running.pop(task, None)
        if running is not None and running.answers is not None:
            with self._backend.guard():
                running.answers.close()

    def wait(self, seconds: float) -> list[WorkerEvent]:
        """The events that came; waits at most `seconds` for the first. Call it several times a second.

        Gives up the attempts of workers that are silent or gone. Raises RunError if the scheduler of a cluster is gone.
        """
        found: list[WorkerEvent] = []
        with suppress(queue.Empty):
            found.append(self._events.get(timeout=seconds))
            while True:
                found.append(self._events.get_nowait())
        self._watch()
        while not self._notes.empty():
            found.append(Note(self._notes.get_nowait()))
        return found

    def _watch(self) -> None:
        """Notice workers that are frozen, or whose machine is gone silently; Dask notices only a process that dies."""
        now, words = time.monotonic(), self._inbox.qsize()
        for task in self._backend.look(self._liveness, now):  # first: a broken connection is not a worker's loss
            self._lose(task, self._explain(task))
        for _ in range(words):
            self._inbox.get()()
        for task in self._liveness.silent(now):
            self._give_up(task, now)

    def stop(self) -> None:
        """Ask every running attempt to end; their results come as events."""
        with self._backend.guard():
            self._stop.set()

    def close(self) -> None:
        """End the workers that we started, and the connection."""
        with self._held:
            with suppress(Exception):  # the scheduler may be gone
                # Otherwise Dask prints errors about the reports of attempts that still run.
                self._backend.client.unsubscribe_topic(self._line)
            self._running.clear()

    def _give_up(self, task: str, now: float) -> None:
        begun = self._liveness.pid(task) is not None
        if not self._backend.give_up(task, self._liveness, now):
            self._liveness.expect(task, now)
            return
        running = self._running[task]
        if running.answers is not None:  # else it waits for one when it wakes
            running.answers.put((None, True))
            self._running[task] = dataclasses.replace(running, answers=None)  # never closed: the attempt may still read it
        self._lose(task, f"its worker gave no sign of life for {self._liveness.grace:g} s" if begun else NOT_BEGUN)

    def _lose(self, task: str, reason: str) -> None:
        job = self._running[task].job
        self._liveness.forget(task)
        self._events.put(Lost(job.trial, job.attempt, reason))

    def _explain(self, task: str) -> str:
        return NOT_BEGUN if self._liveness.pid(task) is None else self._backend.explain(time.monotonic())

    def _hear(self, event: Mapping[str, Any]) -> None:
        """A worker's event, on Dask's thread."""
        if "report" in event:
            self._events.put(EpochReport(**event["report"]))
        elif "note" in event:
            self._notes.put(event["note"])
        elif "begun" in event:
            self._begun.set()
        else:
            self._inbox.put(partial(self._note_sign, event, time.monotonic()))

    def _note_sign(self, event: Mapping[str, Any], heard: float) -> None:
        self._liveness.hear(event["alive"], event["pid"], heard)
        if event["over"]:
            self._backend.free(event["address"])

    def _end(self, job: TrialJob, future: Future) -> None:
        """An attempt's end, on Dask's thread."""
        if future.status == "finished":
            self._events.put(future.result())
        else:
            error = future.exception() if future.status == "error" else None
            self._inbox.put(partial(self._note_loss, job, error))

    def _note_loss(self, job: TrialJob, error: BaseException | None) -> None:
        task = self._task(job)
        if task in self._running:
            if error is None or type(error).__name__ == "KilledWorker":
                self._lose(task, self._explain(task))
            else:
                self._lose(task, storable(quote(error)))

    def _task(self, job: TrialJob) -> str:
        return worker.task_name(job, self._line)


def _start_workers(count: int, threads: int, loop: IOLoop) -> LocalBackend:
    begin_loading()
    try:
        return LocalBackend(count, threads, loop)
    except KeyboardInterrupt:
        loop.asyncio_loop.set_exception_handler(lambda *_: None)  # type: ignore[attr-defined]  # what ends with that process fails
        end_loading()  # else the start of workers waits, for seconds, until TensorFlow is loaded
        raise
