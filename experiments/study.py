"""The coordinator: asks the engine, dispatches to the workers, passes reports on, records, tells. It owns every store."""

from __future__ import annotations

import dataclasses
import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlflow.entities import Run

from experiments.checkpoints import Checkpoints
from experiments.datasets.splits import DataHandle, Splits
from experiments.model_files import ModelFile
from experiments.plan import make_job
from experiments.pool import Lost, Pool, PoolEvent
from experiments.progress import Progress, RunningTrial, Screen
from experiments.recorded import trial_runs
from experiments.tracking import Tracker
from experiments.trial import EpochReport, TrialJob, TrialResult
from models.factory import is_file
from search.engine import Done, Engine, Outcome, Suggestion, Wait
from search.engines.limits import continues
from search.spec import StudySpec

TICK = 0.25  # seconds between looks at the clock while no event comes
HOPELESS = 3  # trials that all fail, after which no more are asked for


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


@dataclass
class Attempt:
    """An attempt under way: its job, the suggestion behind it and its run."""

    job: TrialJob
    suggestion: Suggestion
    run_id: str
    started: float = field(default_factory=time.monotonic)


class Coordinator:
    """Runs one study to the end of its budget, or until `stop` is called."""

    def __init__(self, parts: Parts, pending: list[Suggestion]) -> None:
        self._parts = parts
        self._spec = parts.spec
        self._pending = pending
        self._running: dict[tuple[int, int], Attempt] = {}
        self._attempts: dict[int, int] = {}
        self._losses: dict[int, int] = {}
        self._epochs = 0
        self._kept: dict[int, str] = {}
        self._values: dict[int, float] = {}
        self.exhausted = ""
        self.first_failure = ""
        self.stopping = False
        plan = self._spec.search
        deadline = None if plan.timeout is None else time.monotonic() + plan.timeout
        self.progress = Progress(self._spec.name, self._spec.objective.metric, plan.trials, parts.pool.count, deadline=deadline)
        self._resume()

    def run(self) -> None:
        """Work until nothing is left to ask for and nothing runs."""
        while True:
            self._fill()
            if not self._running and (self.exhausted or self.stopping):
                if not self.stopping:
                    self._parts.checkpoints.clear()
                return
            try:
                self._handle(self._parts.pool.events.get(timeout=TICK))
                while True:
                    self._handle(self._parts.pool.events.get_nowait())
            except queue.Empty:
                pass
            self._parts.tracker.flush_due()
            self._parts.screen.show(self.progress)

    def stop(self) -> None:
        """Ask nothing more and end the running attempts; their trials stay unfinished and go on at the next start."""
        if not self.stopping:
            self.stopping = True
            self._parts.pool.stop()

    def _resume(self) -> None:
        """Take up what earlier sessions left: attempts that were lost with their coordinator, values, kept models."""
        tracker = self._parts.tracker
        runs = trial_runs(tracker.client, tracker.experiment_id)
        by_trial: dict[int, list[Run]] = {}
        for run in runs:
            trial = int(run.data.tags["tailor.trial"])
            by_trial.setdefault(trial, []).append(run)
            self._attempts[trial] = max(self._attempts.get(trial, 0), int(run.data.tags["tailor.attempt"]))
            self._epochs += int(run.data.tags.get("tailor.epochs", "0"))
            self._losses[trial] = self._losses.get(trial, 0) + (run.data.tags.get("tailor.status") == "lost")
            if run.info.status == "RUNNING":
                tracker.close_run(run.info.run_id, "lost", "the coordinator went away")
        self._pending = [s for s in self._pending if not self._recorded(s, by_trial.get(s.trial, []))]
        for record in self._parts.engine.records():
            self._count(record.trial, record.outcome.status, record.outcome.values)
        self._kept = tracker.kept_models()

    def _recorded(self, suggestion: Suggestion, runs: list[Run]) -> bool:
        """Tell the engine of a trial whose end MLflow has and the engine has not: a coordinator died between the two."""
        for run in runs:
            status, key = run.data.tags.get("tailor.status"), self._spec.objective.key
            if run.info.status == "FINISHED" and status == "complete" and key in run.data.metrics:
                value = {self._spec.objective.metric: run.data.metrics[key]}
                self._parts.engine.tell(suggestion.trial, Outcome("complete", value))
                return True
            if run.info.status in ("FINISHED", "FAILED") and status in ("pruned", "failed"):
                reason = run.data.tags.get("tailor.status_reason", "")
                self._parts.engine.tell(suggestion.trial, Outcome(status, reason=reason))
                return True
        return False

    def _fill(self) -> None:
        while len(self._running) < self._parts.pool.count and not self.stopping:
            if self._pending:
                self._start(self._pending.pop(0))
                continue
            if self.exhausted or self._over_budget():
                return
            answer = self._parts.engine.ask()
            if isinstance(answer, Wait):
                return
            if isinstance(answer, Done):
                self.exhausted = answer.reason
                return
            self._start(answer)

    def _over_budget(self) -> bool:
        plan, progress = self._spec.search, self.progress
        if progress.deadline is not None and time.monotonic() >= progress.deadline:
            self.exhausted = "the time is up"
        elif plan.epochs is not None and self._epochs >= plan.epochs:
            self.exhausted = f"all {plan.epochs} epochs are spent"
        elif progress.failed >= HOPELESS and progress.failed == progress.done:
            self.exhausted = f"the first {progress.failed} trials all failed"
        return bool(self.exhausted)

    def _start(self, suggestion: Suggestion) -> None:
        attempt = self._attempts.get(suggestion.trial, 0) + 1
        self._attempts[suggestion.trial] = attempt
        job = self._job(suggestion, attempt)
        run_id = self._parts.tracker.start(job, {**self._spec.training, **suggestion.hparams})
        self._running[job.trial, job.attempt] = Attempt(job, suggestion, run_id)
        self.progress.running[job.trial] = RunningTrial(job.trial, attempt, job.epochs)
        self._parts.pool.submit(job)

    def _job(self, suggestion: Suggestion, attempt: int) -> TrialJob:
        weights = None
        if suggestion.continues is not None:
            weights = self._parts.checkpoints.find(suggestion.continues)
            if weights is None:  # gone with an earlier end of the study: from the first epoch, then
                suggestion = dataclasses.replace(suggestion, epochs_done=0)
        job = make_job(self._spec, suggestion, attempt, self._parts.data, self._parts.precision)
        return dataclasses.replace(job, weights=None if weights is None else str(weights))

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
            self._lost(attempt, event.reason)
        else:
            self._ended(attempt, event)

    def _report(self, attempt: Attempt, report: EpochReport) -> None:
        self._epochs += 1
        self._parts.tracker.epoch(report)
        running = self.progress.running[report.trial]
        running.epoch = report.epoch
        running.value = report.metrics.get(self._spec.objective.metric)
        stop = self._parts.engine.report(report.trial, report.epoch, report.metrics)
        self._parts.pool.answer(attempt.job, report.epoch, stop)

    def _lost(self, attempt: Attempt, reason: str) -> None:
        trial = attempt.job.trial
        self._parts.tracker.lose(attempt.job, reason)
        self._losses[trial] = self._losses.get(trial, 0) + 1
        if self._losses[trial] <= self._spec.search.retries:
            self._parts.screen.line(f"trial {trial}: attempt {attempt.job.attempt} lost ({reason}); trying again")
            self._pending.append(attempt.suggestion)
            return
        self._tell(trial, Outcome("failed", reason=f"lost {self._losses[trial]} times: {reason}"))

    def _ended(self, attempt: Attempt, result: TrialResult) -> None:
        # MLflow first, then the engine: a trial that the engine knows to have ended has its run.
        run_id = self._parts.tracker.end(attempt.job, result)
        if result.status == "stopped":
            return
        self.progress.seconds.append(time.monotonic() - attempt.started)
        if result.status == "complete":
            value = result.metrics[self._spec.objective.key]
            self._keep(attempt.job, result, run_id, value)
            if continues(self._spec) and result.model is not None:
                self._parts.checkpoints.save(result.trial, result.model)
            self._tell(result.trial, Outcome("complete", {self._spec.objective.metric: value}))
            return
        if result.status == "failed" and result.traceback and not self.first_failure:
            self._parts.screen.line(result.traceback.rstrip())
        self.first_failure = self.first_failure or (result.reason if result.status == "failed" else "")
        self._tell(result.trial, Outcome(result.status, reason=result.reason))

    def _tell(self, trial: int, outcome: Outcome) -> None:
        self._parts.engine.tell(trial, outcome)
        self._count(trial, outcome.status, outcome.values)
        value = outcome.values.get(self._spec.objective.metric)
        said = f"with {self._spec.objective.metric} {value:.4f}" if value is not None else outcome.reason
        self._parts.screen.line(f"trial {trial}: {outcome.status} {said}")

    def _count(self, trial: int, status: str, values: Mapping[str, float]) -> None:
        setattr(self.progress, status, getattr(self.progress, status) + 1)
        value = values.get(self._spec.objective.metric)
        if value is not None:
            self._values[trial] = value
            best = self.progress.best
            if best is None or self._spec.objective.better(value, best[1]):
                self.progress.best = (trial, value)

    def _keep(self, job: TrialJob, result: TrialResult, run_id: str, value: float) -> None:
        """Log the model while its trial is among the best, and drop the one that it displaces."""
        objective, most = self._spec.objective, self._spec.search.keep_models
        if result.model is None:
            return
        worst = sorted(self._kept, key=self._values.__getitem__, reverse=objective.direction == "minimize")
        if len(self._kept) >= most and not objective.better(value, self._values[worst[0]]):
            return
        source = factory_source(self._spec.model, job.folder)
        model = ModelFile(result.model, job.data.input_shape, job.data.num_classes, source)
        self._kept[job.trial] = self._parts.tracker.log_model(run_id, job, model, result.best_epoch)
        for trial in worst[: max(0, len(self._kept) - most)]:
            self._parts.tracker.drop_model(self._kept.pop(trial))


def factory_source(model: str, folder: str) -> Path | None:
    """The file of a factory named by its file; its code travels with its models."""
    return Path(folder) / model.rpartition(":")[0] if is_file(model) else None
