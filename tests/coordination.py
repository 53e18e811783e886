"""Fakes of the rooms' own protocols for the coordinator's tests: engine, workers, recorder and clock, and a world of all four.

What must outlive a coordinator that is killed (the engine's trials, the runs) is in the world; workers die with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tailor.experiments.coordinator.coordinator import Coordinator, Parts
from tailor.experiments.coordinator.progress import Progress
from tailor.experiments.coordinator.reconcile import Stores, reconcile
from tailor.experiments.datasets.splits import DataHandle
from tailor.experiments.tracking.entries import RUN_STATUS
from tailor.experiments.tracking.model_files import ModelFile
from tailor.experiments.tracking.recorded import RecordedAttempt
from tailor.experiments.trials.checkpoints import Checkpoints
from tailor.experiments.trials.job import EpochReport, TrialJob, TrialResult
from tailor.experiments.workers.pool import Lost, WorkerEvent
from tailor.search.engines.protocol import Done, Outcome, Record, Suggestion, Wait
from tailor.search.study.load import build
from tailor.search.study.spec import StudySpec

Step = Callable[[], None]


class Killed(Exception):
    """The coordinator's process dies here."""


def spec_of(**search: Any) -> StudySpec:
    """A study of four trials of three epochs, with `search` laid over its [search]."""
    study = {"name": "small", "dataset": "digits", "model": "mlp", "objective": "val_accuracy", "direction": "maximize"}
    plan = {"trials": 4, "max_epochs": 3, "sampler": "random", "pruner": "none", "keep_models": 2, **search}
    return build({"study": study, "search": plan, "space": {"units": {"low": 1, "high": 100}}})


@dataclass
class FakeEngine:
    """Gives out trials by number; `script` has answers to asks that come before them, `stops` the reports answered with stop."""

    trials: int
    epochs: int = 3
    script: list[Any] = field(default_factory=list)
    stops: set[tuple[int, int]] = field(default_factory=set)
    asked: dict[int, Suggestion] = field(default_factory=dict)
    told: dict[int, Outcome] = field(default_factory=dict)
    reported: list[tuple[int, int]] = field(default_factory=list)
    replayed: list[tuple[int, int]] = field(default_factory=list)
    on_report: Step = lambda: None
    on_tell: Step = lambda: None
    points: int | None = None  # of its sampler's list

    def ask(self) -> Suggestion | Wait | Done:
        if self.script:
            answer = self.script.pop(0)
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, Suggestion):
                self.asked[answer.trial] = answer
            return answer
        if len(self.asked) >= self.trials:
            return Done(f"{self.trials} of {self.trials} trials")
        number = len(self.asked)
        self.asked[number] = Suggestion(number, {"units": number + 1}, self.epochs)
        return self.asked[number]

    def report(self, trial: int, epoch: int, values: Mapping[str, float]) -> bool:
        self.on_report()
        self.reported.append((trial, epoch))
        return (trial, epoch) in self.stops

    def replay(self, trial: int, epoch: int, values: Mapping[str, float]) -> None:
        self.replayed.append((trial, epoch))

    def tell(self, trial: int, outcome: Outcome) -> None:
        if trial not in self.asked or trial in self.told:
            raise KeyError(trial)
        self.told[trial] = outcome
        self.on_tell()

    def unfinished(self) -> list[Suggestion]:
        return [suggestion for trial, suggestion in self.asked.items() if trial not in self.told]

    def left(self) -> int | None:
        return self.points

    def records(self) -> list[Record]:
        return [Record(trial, self.asked[trial].hparams, outcome) for trial, outcome in sorted(self.told.items())]


class FakeWorkers:
    """Runs nothing: `plan` says at each wait what the workers report; `count` may change meanwhile."""

    def __init__(self, count: int, plan: Callable[[FakeWorkers], Sequence[WorkerEvent]]) -> None:
        self.count = count
        self.plan = plan
        self.jobs: dict[tuple[int, int], TrialJob] = {}  # under way, oldest first
        self.submitted: list[TrialJob] = []
        self.answers: list[tuple[int, int, bool]] = []  # trial, epoch, stop
        self.forgotten: list[tuple[int, int]] = []
        self.stopped = 0

    def submit(self, job: TrialJob) -> None:
        assert len(self.jobs) < self.count, "more attempts than workers"
        self.jobs[job.trial, job.attempt] = job
        self.submitted.append(job)

    def wait(self, seconds: float) -> Sequence[WorkerEvent]:
        return self.plan(self)

    def answer(self, job: TrialJob, epoch: int, stop: bool) -> None:
        self.answers.append((job.trial, epoch, stop))

    def forget(self, job: TrialJob) -> None:
        del self.jobs[job.trial, job.attempt]
        self.forgotten.append((job.trial, job.attempt))

    def stop(self) -> None:
        self.stopped += 1


@dataclass
class FakeRecorder:
    """Keeps runs and models in memory, as MLflow would; a Record too. Notes the order of what was written."""

    runs: dict[tuple[int, int], RecordedAttempt] = field(default_factory=dict)
    models: set[int] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    ticks: int = 0
    on_write: Step = lambda: None

    def begin_attempt(self, job: TrialJob, hparams: Mapping[str, Any]) -> None:
        key = (job.trial, job.attempt)
        assert key not in self.runs, f"attempt {key} has two runs"
        name = f"trial-{job.trial:03d}-{job.attempt}"
        params = {name: str(value) for name, value in hparams.items()}
        self.runs[key] = RecordedAttempt(*key, name, name, "RUNNING", "running", "", 0, params, {}, 0, None)
        self._wrote(f"begin {job.trial}")

    def log_epoch(self, report: EpochReport) -> None:
        run = self.runs[report.trial, report.attempt]
        self.runs[report.trial, report.attempt] = replace(run, epochs=run.epochs + (not report.replayed))

    def tick(self) -> None:
        self.ticks += 1

    def flush(self) -> None:
        self._wrote("flush")

    def log_model(self, job: TrialJob, model: ModelFile, step: int) -> None:
        self.models.add(job.trial)
        self._wrote(f"model {job.trial}")

    def drop_model(self, trial: int) -> None:
        self.models.discard(trial)
        self._wrote(f"drop {trial}")

    def end_attempt(self, job: TrialJob, result: TrialResult) -> None:
        self._close((job.trial, job.attempt), result.status, result.reason, result.metrics)
        self._wrote(f"end {job.trial} {result.status}")

    def lose_attempt(self, job: TrialJob, reason: str, status: str = "lost") -> None:
        self._close((job.trial, job.attempt), status, reason, {})
        self._wrote(f"lose {job.trial} {status}")

    def read_attempts(self) -> list[RecordedAttempt]:
        return list(self.runs.values())

    def close_attempt(self, attempt: RecordedAttempt, status: str, reason: str) -> RecordedAttempt:
        self._close((attempt.trial, attempt.attempt), status, reason, attempt.metrics)
        return self.runs[attempt.trial, attempt.attempt]

    def _close(self, key: tuple[int, int], status: str, reason: str, metrics: Mapping[str, float]) -> None:
        run = self.runs[key]
        assert run.run_status == "RUNNING", f"the run of {key} was closed before"
        self.runs[key] = replace(run, status=status, run_status=RUN_STATUS[status], reason=reason, metrics=metrics, end=0)

    def _wrote(self, what: str) -> None:
        self.log.append(what)
        self.on_write()


@dataclass
class FakeScreen:
    """Keeps the lines; the newest progress."""

    lines: list[str] = field(default_factory=list)
    progress: Progress | None = None

    def show(self, progress: Progress) -> None:
        self.progress = progress

    def line(self, text: str) -> None:
        self.lines.append(text)


@dataclass
class World:
    """A study with its stores. `play` runs coordinators on it; what they leave stays."""

    folder: Path
    spec: StudySpec
    engine: FakeEngine
    recorder: FakeRecorder = field(default_factory=FakeRecorder)
    screen: FakeScreen = field(default_factory=FakeScreen)
    now: float = 0.0

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.folder, self.spec.name)

    def open(self, workers: FakeWorkers) -> Coordinator:
        """A coordinator of a new process: what a killed one left is reconciled first, then resumed."""
        stores = Stores(self.recorder, self.engine, self.spec.goal, self.checkpoints)
        repairs = reconcile(stores, self.recorder.read_attempts())
        self.screen.lines += repairs.lines
        data = DataHandle("data", (8, 8, 1), 10)
        parts = Parts(
            self.spec, data, self.engine, self.recorder, workers, self.screen, self.checkpoints, "float32", clock=lambda: self.now
        )
        coordinator = Coordinator(parts)
        coordinator.resume(repairs.attempts, set(self.recorder.models))
        return coordinator

    def play(self, steps: Iterable[Sequence[WorkerEvent]], workers: int = 1) -> tuple[Coordinator, FakeWorkers]:
        """Run a coordinator whose workers report these events, wait after wait; it must not wait longer than that."""
        left = iter(steps)

        def plan(_: FakeWorkers) -> Sequence[WorkerEvent]:
            found = next(left, None)
            assert found is not None, f"it waits for ever; so far: {self.recorder.log}, {self.screen.lines}"
            return found

        pool = FakeWorkers(workers, plan)
        coordinator = self.open(pool)
        coordinator.run()
        assert not list(left), "it ended before all was reported"
        return coordinator, pool


def world(folder: Path, trials: int = 2, spec: StudySpec | None = None, **search: object) -> World:
    return World(folder, spec or spec_of(trials=trials, **search), FakeEngine(trials))


def states(made: World) -> list[tuple[int, int, str, str]]:
    return [(run.trial, run.attempt, run.status, run.run_status) for run in made.recorder.read_attempts()]


def report(trial: int, epoch: int, value: float = 0.5, attempt: int = 1, replayed: bool = False) -> EpochReport:
    return EpochReport(trial, attempt, epoch, {"val_accuracy": value}, 1.0, replayed)


def complete(trial: int, value: float = 0.5, attempt: int = 1, model: bytes | None = b"keras", **more: float) -> TrialResult:
    return TrialResult(trial, attempt, "complete", metrics={"best_val_accuracy": value, **more}, best_epoch=2, model=model)


def failed(trial: int, attempt: int = 1, shown: str = "") -> TrialResult:
    return TrialResult(trial, attempt, "failed", "error: KeyError", f"Traceback of it all\n{shown}", shown)


def pruned(trial: int, attempt: int = 1) -> TrialResult:
    return TrialResult(trial, attempt, "pruned", "pruned after epoch 1")


def stopped(trial: int, attempt: int = 1) -> TrialResult:
    return TrialResult(trial, attempt, "stopped", "stopped by request")


def lost(trial: int, attempt: int = 1, reason: str = "its worker went away") -> Lost:
    return Lost(trial, attempt, reason)
