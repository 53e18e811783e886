"""What a Dask worker process does: prepares itself once, then runs trials, connected to the coordinator."""

from __future__ import annotations

import dataclasses
import gc
import os
import signal
import threading
import time
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

import psutil

from ..system import memory
from ..system.cpus import list_cpus
from ..system.environment import TENSORFLOW_ENV, inherit_settings
from ..system.gpus import claim
from ..system.silence import silence
from ..trials.job import EpochReport, TrialJob, TrialResult
from ..trials.preflight import Preflight, inspect_model
from ..trials.run import Stopped, run_trial
from .growth import Growth

if TYPE_CHECKING:
    from distributed import Worker

THREADS = "TAILOR_WORKER_THREADS"
COUNT = "TAILOR_WORKERS"
INDEX = "TAILOR_WORKER_INDEX"
LOOK_SECONDS = 1.0  # between looks at the stop flag
ANSWER_SECONDS = 600.0  # how long a report waits for its answer
LEAVE_SECONDS = 30.0  # after SIGTERM
PULSE_SECONDS = 2.0  # between two signs of life


def dask_setup(worker: Worker) -> None:
    """Dask's preload hook, in each worker that Tailor starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all processes; the coordinator decides
    signal.signal(signal.SIGTERM, _leave_soon)
    threads = int(os.environ.get(THREADS, "0"))
    if isinstance(worker.name, int):
        os.environ[INDEX] = str(worker.name)
    if threads == 1 and isinstance(worker.name, int) and hasattr(os, "sched_setaffinity"):
        cpus = list_cpus()
        # Affinity belongs to a thread; the threads started from now on inherit it, and one of them trains.
        os.sched_setaffinity(0, {cpus[worker.name % len(cpus)]})


def _leave_soon(_number: int, _frame: types.FrameType | None) -> None:
    """On SIGTERM the coordinator, which most likely gets it too, stops this worker cleanly; if not, the worker ends itself."""
    timer = threading.Timer(LEAVE_SECONDS, os._exit, (128 + signal.SIGTERM,))
    timer.daemon = True
    timer.start()


@cache
def prepare() -> None:
    """Prepare TensorFlow with this worker's number of threads; a second call does nothing."""
    # In a worker that Tailor started all this is already loaded; in a cluster's worker it is not.
    with inherit_settings(TENSORFLOW_ENV), silence():
        import tensorflow as tf

        from ...models.training import fit  # noqa: F401

        tf.get_logger().setLevel("ERROR")
        threads = int(os.environ.get(THREADS, "0"))
        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        # It would fuse layers, speeds nothing up that Tailor trains, and keeps a fifth of a megabyte of each graph for ever.
        tf.config.optimizer.set_experimental_options({"remapping": False})
        claim(int(os.environ.get(INDEX, "0")), int(os.environ.get(COUNT, "0")))
        tf.constant(0)  # the first operation prints the rest of the log
    if INDEX in os.environ:  # a worker that Tailor started
        gc.freeze()  # the libraries' half a million objects stay: `release` need not look through them


def preflight(job: TrialJob, line: str, losses: Mapping[str, str]) -> Preflight:
    """As `inspect_model`, which raises the error that a trial would fail with. `line` names the coordinator's topic."""
    from distributed import get_worker

    get_worker().log_event(line, {"begun": "preflight"})
    prepare()
    return inspect_model(job, losses)


_growth = Growth()


def attempt(job: TrialJob, line: str) -> TrialResult:
    """Run one attempt at a trial on this worker; `line` names the coordinator's topic and its stop flag."""
    if _growth.is_too_large and INDEX in os.environ:  # a worker that Tailor started
        _renew()
    with _pulse(job, line):
        prepare()
        result = run_trial(job, DaskChannel(job, line))
    if INDEX in os.environ:
        memory.release()
    _growth.measure(psutil.Process().memory_info().rss)
    return result


def _renew() -> None:
    """Give the attempt back before it begins, and let Dask's nanny start a fresh process in place of this one."""
    from distributed import Reschedule, get_worker
    from distributed.utils import sync

    worker = get_worker()

    async def retire() -> bool:  # from now on the scheduler gives this worker nothing
        return bool(await worker.scheduler.retire_workers(workers=[worker.address], close_workers=False, remove=True))

    if sync(worker.loop, retire):  # else a result is still here: try another time
        worker.loop.add_callback(worker.close, nanny=False, reason="it has grown")
        raise Reschedule


def task_name(job: TrialJob, line: str) -> str:
    """An attempt's name for Dask and for its queue of answers; unique: others on the cluster may use the same study name."""
    return f"{line}/{job.key}"


@contextmanager
def _pulse(job: TrialJob, line: str) -> Iterator[None]:
    """Give signs of life while an attempt runs, from a separate thread: a trace or a compilation may take long."""
    from distributed import get_worker

    worker, over = get_worker(), threading.Event()
    sign = {"alive": task_name(job, line), "address": worker.address, "pid": os.getpid()}

    def beat() -> None:
        worker.log_event(line, {**sign, "over": False})
        while not over.wait(PULSE_SECONDS):
            worker.log_event(line, {**sign, "over": False})
        worker.log_event(line, {**sign, "over": True})

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        over.set()


class DaskChannel:
    """A trial's connection to the coordinator: events go up, and answers come down by the attempt's own queue."""

    def __init__(self, job: TrialJob, line: str) -> None:
        from distributed import Event, Queue, get_worker

        self._line = line
        self._trial = job.trial
        self._worker = get_worker()
        self._task = task_name(job, line)
        self._stop = Event(line)
        self._answers = Queue(self._task) if job.waits else None
        self._looked = time.monotonic()

    def report(self, report: EpochReport) -> bool:
        self._worker.log_event(self._line, {"report": dataclasses.asdict(report)})
        asked = time.monotonic()
        while self._answers is not None:
            try:
                epoch, stop = self._answers.get(timeout=LOOK_SECONDS)
            except TimeoutError:
                self._look()
                if time.monotonic() - asked > ANSWER_SECONDS:  # the coordinator sleeps; others may use this worker
                    raise Stopped from None
                continue
            if epoch is None:  # the attempt was given up
                raise Stopped
            if epoch == report.epoch:
                return bool(stop)
        return False

    def replay(self, report: EpochReport) -> None:
        self._worker.log_event(self._line, {"report": dataclasses.asdict(report)})

    def note(self, text: str) -> None:
        self._worker.log_event(self._line, {"note": f"trial {self._trial}: {text}"})

    def check(self) -> None:
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look()

    def _look(self) -> None:
        """Raises Stopped if the search stops, or if nobody waits for the attempt any more: a cluster outlives a killed search."""
        self._looked = time.monotonic()
        task = self._worker.state.tasks.get(self._task)
        if task is None or task.state == "cancelled" or self._stop.is_set():
            raise Stopped
