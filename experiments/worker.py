"""What a Dask worker process does: prepares itself once, and runs trials with a line to the coordinator."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from functools import cache
from typing import TYPE_CHECKING

from experiments.gpus import claim
from experiments.quiet import quiet
from experiments.trial import EpochReport, Stopped, TrialJob, TrialResult, run_trial

if TYPE_CHECKING:
    from distributed import Worker

THREADS = "TAILOR_WORKER_THREADS"
COUNT = "TAILOR_WORKERS"
INDEX = "TAILOR_WORKER_INDEX"
LOOK_SECONDS = 1.0  # between looks at the stop flag


def dask_setup(worker: Worker) -> None:
    """Dask's preload hook, in each worker that Tailor starts."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends Ctrl-C to the whole group; the coordinator decides
    threads = int(os.environ.get(THREADS, "0"))
    if isinstance(worker.name, int):
        os.environ[INDEX] = str(worker.name)
    if threads == 1 and isinstance(worker.name, int) and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        # Affinity is a thread's; those started from here on inherit it, the one that trains among them.
        os.sched_setaffinity(0, {cores[worker.name % len(cores)]})


@cache
def prepare() -> None:
    """Ready TensorFlow with this worker's number of threads; the second call does nothing."""
    with quiet():
        import tensorflow as tf

        import experiments.preload  # noqa: F401 (here already, in a worker that Tailor started)

        threads = int(os.environ.get(THREADS, "0"))
        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        claim(int(os.environ.get(INDEX, "0")), int(os.environ.get(COUNT, "0")))
        tf.constant(0)  # the first op brings the rest of the chatter


@dataclasses.dataclass(frozen=True)
class Preflight:
    """What was found by building the model once: the precision to train in, and a line for the screen where one is due."""

    precision: str
    note: str = ""


def preflight(job: TrialJob) -> Preflight:
    """Build the job's model and throw it away: raises what a trial would fail with."""
    from experiments.trial import build

    prepare()
    from models.training import losses
    from models.training.by_keras import has_own_step
    from models.training.precision import faster

    model, options = build(job)
    losses.named(options.loss)
    if has_own_step(model):
        note = "the model has a train_step of its own: Keras trains it, batch by batch, which is slower"
        return Preflight("float32" if options.precision == "auto" else options.precision, note)
    if options.precision != "auto":
        return Preflight(options.precision)
    precision = faster(lambda policy: build(job, policy)[0], options, job.data.num_classes)
    fast = "" if precision == "float32" else f"precision: {precision}, measured to be faster for this model on this machine"
    return Preflight(precision, fast)


def attempt(job: TrialJob, line: str) -> TrialResult:
    """Run one attempt at a trial on this worker; `line` names the coordinator's topic and its stop flag."""
    prepare()
    return run_trial(job, DaskChannel(job, line))


class DaskChannel:
    """A trial's line to the coordinator: events go up, and answers come down by a queue of the attempt's own."""

    def __init__(self, job: TrialJob, line: str) -> None:
        from distributed import Event, Queue, get_worker

        self._line = line
        self._worker = get_worker()
        self._stop = Event(line)
        self._answers = Queue(job.key) if job.waits else None
        self._looked = time.monotonic()

    def report(self, report: EpochReport) -> bool:
        self._worker.log_event(self._line, {"report": dataclasses.asdict(report)})
        while self._answers is not None:
            try:
                epoch, stop = self._answers.get(timeout=LOOK_SECONDS)
            except TimeoutError:
                self._look()
                continue
            if epoch == report.epoch:
                return bool(stop)
        return False

    def replay(self, report: EpochReport) -> None:
        self._worker.log_event(self._line, {"report": dataclasses.asdict(report)})

    def check(self) -> None:
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._look()

    def _look(self) -> None:
        self._looked = time.monotonic()
        if self._stop.is_set():
            raise Stopped
