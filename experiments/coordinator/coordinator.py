"""The coordinator: asks the engine, dispatches to the workers, passes reports on, records, tells. It owns every store."""

from __future__ import annotations

import dataclasses
import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...search.engines.protocol import Done, Engine, Outcome, Suggestion, Wait
from ...search.errors import StudyError
from ...search.study.capabilities import continues
from ...search.study.spec import StudySpec
from ..datasets.splits import DataHandle, Splits
from ..tracking.model_files import ModelFile
from ..tracking.reader import trial_runs
from ..tracking.tracker import EPOCHS, Tracker
from ..trials.checkpoints import Checkpoints
from ..trials.job import EpochReport, TrialJob, TrialResult, make_job
from ..workers.pool import Lost, Pool, PoolEvent
from ..workers.retries import NOT_BEGUN, Retries
from .budget import Budget
from .progress import Progress, RunningTrial, Screen
from .reconcile import Stores, reconcile

TICK = 0.25  # seconds between looks at the clock while no event comes


@dataclass(frozen=True)
class Parts:
    """What a coordinator works with."""

    spec: StudySpec
    splits: Splits
    data: DataHandle
    engine: Engine
    tracker: Tracker
    pool: Pool
    screen: Screen
    checkpoints: Checkpoints
    precision: str  # in place of "auto"
    code: Path | None = None  # a copy of the file of a factory named by its file


@dataclass
class Attempt:
    """An attempt under way: its job, the suggestion behind it and its run."""

    job: TrialJob
    suggestion: Suggestion
    started: float = field(default_factory=time.monotonic)


class Coordinator:
    """Runs one study to the end of its budget, or until `stop` is called."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._spec = parts.spec
        self._pending: list[Suggestion] = []
        self._running: dict[tuple[int, int], Attempt] = {}
        self._attempts: dict[int, int] = {}
        self._losses = Retries(self._spec.search.retries)
        self._kept: set[int] = set()  # the trials whose models are logged
        self._values: dict[int, Mapping[str, float]] = {}  # of the complete trials, by metric
        self.exhausted = ""
        self.broken = ""  # why the engine could not answer an ask
        self.first_failure = ""
        self.stopping = False
        self._budget = Budget(self._spec.search, self._spec.objective)
        trials, metric = self._spec.search.trials, self._spec.objective.metric
        self.progress = Progress(self._spec.name, metric, trials, parts.pool.count, deadline=self._budget.deadline)
        self._resume()

    def run(self) -> None:
        """Work until nothing is left to ask for and nothing runs."""
        while True:
            self._fill()
            if not self._running and (self.stopping or (self.exhausted and not self._pending)):
                if not self.stopping and not continues(self._spec):  # later sessions' trials may go on from these
                    self._parts.checkpoints.clear()
                return
            try:
                self._handle(self._parts.pool.events.get(timeout=TICK))
                while True:
                    self._handle(self._parts.pool.events.get_nowait())
            except queue.Empty:
                pass
            self._parts.pool.watch()
            while not self._parts.pool.notes.empty():
                self._parts.screen.line(self._parts.pool.notes.get_nowait())
            self._parts.tracker.flush_due()
            self._parts.screen.show(self.progress)

    def stop(self) -> None:
        """Ask nothing more and end the running attempts; their trials stay unfinished and go on at the next start."""
        if not self.stopping:
            self.stopping = True
            self._parts.pool.stop()

    def _resume(self) -> None:
        """Take up what earlier sessions left: mend it, then count attempts, losses, values and kept models."""
        parts, tracker, outbox = self._parts, self._parts.tracker, self._parts.tracker.outbox
        stores = Stores(outbox.client, outbox.experiment_id, parts.engine, self._spec.goal, parts.checkpoints)
        for mended in reconcile(stores):
            parts.screen.line(f"mended: {mended}")
        for run in trial_runs(outbox.client, outbox.experiment_id):
            trial = int(run.data.tags["tailor.trial"])
            self._attempts[trial] = max(self._attempts.get(trial, 0), int(run.data.tags["tailor.attempt"]))
            self._budget.epochs += int(run.data.tags.get(EPOCHS, "0"))
            if run.data.tags.get("tailor.status") == "lost":
                self._losses.add(trial, run.data.tags.get("tailor.status_reason", ""))
        self._pending = parts.engine.unfinished()
        for record in parts.engine.records():
            self._count(record.trial, record.outcome, earlier=True)
        logged = outbox.models()
        complete = {trial: self._values[trial] for trial in logged & self._values.keys()}
        self._kept = set(self._spec.goal.order(complete)[: self._spec.search.keep_models])
        for trial in logged - self._kept:  # displaced, or of a lost attempt, just before a coordinator died
            tracker.drop_model(trial)

    def _fill(self) -> None:
        while len(self._running) < self._parts.pool.count and not self.stopping:
            if self._pending:
                self._start(self._pending.pop(0))
                continue
            if self._budget.hopeless and self._running:
                return  # what still runs may show that not every trial fails
            self.exhausted = self.exhausted or self._budget.spent()
            if self.exhausted:
                return
            try:
                answer = self._parts.engine.ask()
            except StudyError as error:  # of a space that runs, at a trial that nobody foresaw: what runs is ended as at a stop
                self.broken = str(error)
                self.stop()
                return
            if isinstance(answer, Wait):
                return
            if isinstance(answer, Done):
                self.exhausted = answer.reason
                return
            self._start(answer)

    def _start(self, suggestion: Suggestion) -> None:
        attempt = self._attempts.get(suggestion.trial, 0) + 1
        self._attempts[suggestion.trial] = attempt
        job = self._job(suggestion, attempt)
        self._parts.tracker.start(job, {**self._spec.training, **suggestion.hparams})
        self._running[job.trial, job.attempt] = Attempt(job, suggestion)
        self.progress.running[job.trial] = RunningTrial(job.trial, attempt, job.epochs)
        self._parts.pool.submit(job)

    def _job(self, suggestion: Suggestion, attempt: int) -> TrialJob:
        weights = None
        if suggestion.continues is not None:
            weights = self._parts.checkpoints.find(suggestion.continues)
            if weights is None:
                suggestion = dataclasses.replace(suggestion, epochs_done=0)
                gone = f"the weights of trial {suggestion.continues} are gone"
                self._parts.screen.line(f"trial {suggestion.trial}: {gone}; it trains from the first epoch")
        job = make_job(self._spec, suggestion, attempt, self._parts.data, self._parts.precision)
        newest = self._parts.checkpoints.newest(suggestion.trial)
        return dataclasses.replace(
            job,
            code=None if self._parts.code is None else str(self._parts.code),
            weights=None if weights is None else str(weights),
            saves_to=str(self._parts.checkpoints.attempt(suggestion.trial, attempt)),
            resumes=None if newest is None else str(newest),
        )

    def _handle(self, event: PoolEvent) -> None:
        attempt = self._running.get((event.trial, event.attempt))
        if attempt is None:
            return  # a late word of an attempt that was given up: fenced off
        if isinstance(event, EpochReport):
            self._report(attempt, event)
            return
        del self._running[event.trial, event.attempt]
        del self.progress.running[event.trial]
        self._parts.pool.forget(attempt.job)
        if isinstance(event, Lost):
            self._lost(attempt, event)
        else:
            self._ended(attempt, event)

    def _report(self, attempt: Attempt, report: EpochReport) -> None:
        self._budget.epochs += not report.replayed
        self._parts.tracker.epoch(report)
        running = self.progress.running[report.trial]
        running.epoch = report.epoch
        running.value = report.metrics.get(self._spec.objective.metric)
        if report.replayed:
            return
        stop = self._parts.engine.report(report.trial, report.epoch, report.metrics)
        self._parts.pool.answer(attempt.job, report.epoch, stop)

    def _lost(self, attempt: Attempt, lost: Lost) -> None:
        trial = attempt.job.trial
        self._losses.add(trial, lost.reason)
        if times := self._losses.enough(trial):
            outcome = Outcome("failed", reason=f"{lost.reason} (lost {times} times)")
            self._parts.tracker.lose(attempt.job, outcome.reason, "failed")
            self._tell(trial, outcome)
            return
        self._parts.tracker.lose(attempt.job, lost.reason)
        if lost.reason != NOT_BEGUN:
            self._parts.screen.line(f"trial {trial}: attempt {attempt.job.attempt} lost ({lost.reason}); trying again")
        self._pending.append(attempt.suggestion)

    def _ended(self, attempt: Attempt, result: TrialResult) -> None:
        # MLflow first, then the engine: a trial that the engine knows to have ended has its run. The model before the run is
        # closed: a trial that MLflow knows to be complete has its model.
        values = self._spec.goal.measured(result.metrics) if result.status == "complete" else None
        if result.status == "complete" and values is None:
            reason = "non_finite: its model measures not all that the study is after"
            result = dataclasses.replace(result, status="failed", reason=reason, model=None)
        displaced = self._keep(attempt.job, result, values) if values is not None else set()
        self._parts.tracker.end(attempt.job, result)
        for trial in displaced:
            self._parts.tracker.drop_model(trial)
        if result.status == "stopped":
            if not self.stopping:  # its worker waited too long for an answer: this process slept, say
                self._pending.append(attempt.suggestion)
            return
        self.progress.seconds.append(time.monotonic() - attempt.started)
        if values is not None:
            if continues(self._spec) and result.model is not None:
                self._parts.checkpoints.save(result.trial, result.model)
            self._tell(result.trial, Outcome("complete", values))
            return
        if result.status == "failed" and result.traceback and not self.first_failure:
            self._parts.screen.line(result.traceback.rstrip())
        self.first_failure = self.first_failure or (result.reason if result.status == "failed" else "")
        self._tell(result.trial, Outcome(result.status, reason=result.reason))

    def _tell(self, trial: int, outcome: Outcome) -> None:
        self._parts.engine.tell(trial, outcome)
        self._parts.checkpoints.drop(trial)
        self._count(trial, outcome)
        measured = ", ".join(f"{metric} {_short(value)}" for metric, value in outcome.values.items())
        said = f"with {measured}" if measured else outcome.reason
        self._parts.screen.line(f"trial {trial}: {outcome.status} {said}")

    def _count(self, trial: int, outcome: Outcome, earlier: bool = False) -> None:
        status, values = outcome.status, outcome.values
        setattr(self.progress, status, getattr(self.progress, status) + 1)
        goal = self._spec.goal
        keeps = status == "complete" and goal.feasible(values)
        on_front = keeps and goal.several and not goal.beaten(values, filter(goal.feasible, self._values.values()))
        if status == "complete":
            self._values[trial] = values
        self._budget.count(trial, status, values[goal.first.metric] if keeps else None, earlier, on_front)
        self.progress.best = self._budget.best

    def _keep(self, job: TrialJob, result: TrialResult, values: Mapping[str, float]) -> set[int]:
        """Log the model while its trial is among the best. Answers the trials whose models it displaces."""
        candidates = {**{trial: self._values[trial] for trial in self._kept}, job.trial: values}
        best = set(self._spec.goal.order(candidates)[: self._spec.search.keep_models])
        if result.model is None or job.trial not in best:
            return set()
        model = ModelFile(result.model, job.data.input_shape, job.data.num_classes, self._parts.code)
        self._parts.tracker.log_model(job, model, result.best_epoch)
        displaced, self._kept = self._kept - best, best
        return displaced


def _short(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) > 1 else f"{value:.4f}"
