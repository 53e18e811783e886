"""The coordinator: asks the engine for trials, sends attempts to the workers, records how they end. It owns every store."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ...search.engines.protocol import Done, Engine, Outcome, Suggestion, Wait
from ...search.errors import StudyError
from ...search.study.capabilities import continues
from ...search.study.spec import StudySpec
from ..datasets.splits import DataHandle
from ..system.words import count, say_ended
from ..tracking.kinds import TRIAL
from ..tracking.model_files import ModelFile
from ..tracking.recorded import RecordedAttempt
from ..trials.checkpoints import Checkpoints
from ..trials.job import EpochReport, TrialJob, TrialResult, make_job
from ..workers.pool import Lost, Note, WorkerEvent
from ..workers.retries import NOT_BEGUN, Retries
from .budget import Budget
from .progress import Progress, RunningTrial, Screen
from .protocols import Recorder, Workers
from .standings import Standings

TICK = 0.25  # seconds between looks at the clock while no event comes


@dataclass(frozen=True)
class Parts:
    """What a coordinator works with."""

    spec: StudySpec
    data: DataHandle
    engine: Engine
    recorder: Recorder
    workers: Workers
    screen: Screen
    checkpoints: Checkpoints
    precision: str  # in place of "auto"
    code: Path | None = None  # a copy of the factory's file, if a file names it
    losses: Mapping[str, str] = field(default_factory=dict)  # by reference, copies of the files of custom losses
    clock: Callable[[], float] = time.monotonic
    name: Callable[[int], str] = TRIAL.describe  # what the screen calls a trial


@dataclass(frozen=True)
class Attempt:
    """An attempt under way: its job, the suggestion behind it, and when it began (seconds by the clock)."""

    job: TrialJob
    suggestion: Suggestion
    began: float


class Coordinator:
    """Runs one study to the end of its budget, or until `stop` is called."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._spec = spec = parts.spec
        self._pending: list[Suggestion] = []
        self._running: dict[tuple[int, int], Attempt] = {}
        self._attempts: dict[int, int] = {}  # the newest attempt of each trial
        self._retries = Retries(spec.search.retries)
        self._standings = Standings(spec.goal, spec.search.keep_models)
        self._budget = Budget(spec.search, spec.objective, parts.clock())
        self.progress = Progress(
            spec.name,
            spec.objective.metric,
            spec.search.trials,
            parts.workers.count,
            deadline=self._budget.deadline,
            name=parts.name,
        )
        self.exhausted = ""  # why the search asks for no more trials
        self.spent = False  # whether a larger budget would not help
        self.broken = ""  # why the engine cannot go on
        self.first_failure = ""
        self.stopping = False

    @property
    def out_of_epochs(self) -> bool:
        """Whether the study has spent its budget of epochs."""
        return self._budget.out_of_epochs

    def resume(self, attempts: Iterable[RecordedAttempt], models: set[int]) -> None:
        """Take up what earlier sessions left: attempts in MLflow, trials whose models are logged, and the engine's trials."""
        for attempt in attempts:
            self._attempts[attempt.trial] = max(self._attempts.get(attempt.trial, 0), attempt.attempt)
            self._budget.epochs += attempt.epochs
            if attempt.status == "lost":
                self._retries.add(attempt.trial, attempt.reason)
        self._pending = self._parts.engine.unfinished()
        told, left = self._parts.engine.records(), self._parts.engine.left()
        if left is not None:
            self.progress.trials = min(self.progress.trials, len(told) + len(self._pending) + left)
        for record in told:
            self.progress.lead(record.trial, record.outcome, record.hparams, self._spec.goal)
            self._count(record.trial, record.outcome, earlier=True)
        for trial in self._standings.adopt(models):  # displaced, or of a lost attempt, when a coordinator died
            self._parts.recorder.drop_model(trial)

    def run(self) -> None:
        """Work until nothing is left to ask for and nothing runs."""
        try:
            self._work()
        except KeyboardInterrupt:  # a second signal: what runs is left, and the epochs that came are kept
            self._parts.recorder.flush()
            raise

    def _work(self) -> None:
        while True:
            self._take(self._fill)
            if not self._running and (self.stopping or (self.exhausted and not self._pending)):
                if not self.stopping and not continues(self._spec):  # later trials may continue from these
                    self._parts.checkpoints.clear()
                return
            for event in self._parts.workers.wait(TICK):
                self._take(partial(self._handle, event))
            self._parts.recorder.tick()
            if self.stopping and not self.progress.stopping:
                self.progress.stopping = True
                self._parts.screen.line("stopping: what runs is kept, and the same command resumes it")
            self.progress.ending = self.exhausted
            self._parts.screen.show(self.progress)

    def _take(self, step: Callable[[], None]) -> None:
        """Take a step; if the user's space function, sampler or pruner fails in it, the running trials end as at a stop."""
        try:
            step()
        except StudyError as error:
            self.broken = self.broken or str(error)
            self.stop()

    def stop(self) -> None:
        """Ask for no more trials and end the running attempts; the next start resumes their trials."""
        if not self.stopping:
            self.stopping = True
            self._parts.workers.stop()

    def _fill(self) -> None:
        """Give every free worker an attempt."""
        while len(self._running) < self._parts.workers.count and not self.stopping:
            suggestion = self._pending.pop(0) if self._pending else self._ask()
            if suggestion is None:
                return
            self._start(suggestion)

    def _ask(self) -> Suggestion | None:
        """The engine's next trial; None if there is none now, or none any more."""
        if self._budget.hopeless and self._running:
            return None  # a running trial may still succeed
        if self.progress.done + len(self._running) < self.progress.trials:  # otherwise the engine says that all have begun
            self.exhausted = self.exhausted or self._budget.find_end(self._parts.clock())
        if self.exhausted:
            return None
        answer = self._parts.engine.ask()
        if isinstance(answer, Done):
            self.exhausted = answer.reason
            self.spent = answer.spent
        return None if isinstance(answer, (Wait, Done)) else answer

    def _start(self, suggestion: Suggestion) -> None:
        number = self._attempts.get(suggestion.trial, 0) + 1
        self._attempts[suggestion.trial] = number
        job, now = self._make_job(suggestion, number), self._parts.clock()
        self._parts.recorder.begin_attempt(job, {**self._spec.training, **suggestion.hparams})
        self._running[job.trial, job.attempt] = Attempt(job, suggestion, now)
        self.progress.running[job.trial] = RunningTrial(job.trial, number, job.last_epoch or job.epochs, since=now, reported=now)
        self._parts.workers.submit(job)

    def _make_job(self, suggestion: Suggestion, attempt: int) -> TrialJob:
        weights = None if suggestion.continues is None else self._parts.checkpoints.find(suggestion.continues)
        if suggestion.continues is not None and weights is None:
            suggestion = dataclasses.replace(suggestion, epochs_done=0)
            gone = f"the weights of trial {suggestion.continues} are gone"
            self._parts.screen.line(f"{self._parts.name(suggestion.trial)}: {gone}; it trains from the first epoch")
        job = make_job(self._spec, suggestion, attempt, self._parts.data, self._parts.precision)
        newest = self._parts.checkpoints.newest(suggestion.trial)
        return dataclasses.replace(
            job,
            code=None if self._parts.code is None else str(self._parts.code),
            losses=self._parts.losses,
            weights=None if weights is None else str(weights),
            saves_to=str(self._parts.checkpoints.attempt(suggestion.trial, attempt)),
            resumes=None if newest is None else str(newest),
        )

    def _handle(self, event: WorkerEvent) -> None:
        if isinstance(event, Note):
            self._parts.screen.line(event.text)
            return
        attempt = self._running.get((event.trial, event.attempt))
        if attempt is None:
            return  # an attempt that was given up reports late: ignored
        if isinstance(event, EpochReport):
            self._report(attempt, event)
            return
        del self._running[event.trial, event.attempt]
        del self.progress.running[event.trial]
        self._parts.workers.forget(attempt.job)
        if isinstance(event, Lost):
            self._lose(attempt, event)
        else:
            self._end(attempt, event)

    def _report(self, attempt: Attempt, report: EpochReport) -> None:
        self._budget.epochs += not report.replayed
        self._parts.recorder.log_epoch(report)
        running = self.progress.running[report.trial]
        now = self._parts.clock()
        running.lasted, running.reported = (0.0 if report.replayed else now - running.reported), now
        running.epoch = report.epoch
        running.value = report.metrics.get(self._spec.objective.metric)
        if report.replayed:
            if not self.stopping:
                self._parts.engine.replay(report.trial, report.epoch, report.metrics)
            return
        stop = self._parts.engine.report(report.trial, report.epoch, report.metrics)
        self._parts.workers.answer(attempt.job, report.epoch, stop)

    def _lose(self, attempt: Attempt, lost: Lost) -> None:
        trial = attempt.job.trial
        self._retries.add(trial, lost.reason)
        if times := self._retries.enough(trial):
            outcome = Outcome("failed", reason=f"{lost.reason} (lost {count(times, 'time')})")
            self._parts.recorder.lose_attempt(attempt.job, outcome.reason, "failed")
            self._tell(attempt.suggestion, outcome)
            return
        self._parts.recorder.lose_attempt(attempt.job, lost.reason)
        if lost.reason != NOT_BEGUN:
            self._parts.screen.line(
                f"{self._parts.name(trial)}: attempt {attempt.job.attempt} lost ({lost.reason}); trying again"
            )
        self._pending.append(attempt.suggestion)

    def _end(self, attempt: Attempt, result: TrialResult) -> None:
        # MLflow first, then the engine: a trial that has ended in the engine has its run. The model first, then the end of the
        # run: a trial that is complete in MLflow has its model, and the weights that later trials continue.
        values = self._spec.goal.measured(result.metrics) if result.status == "complete" else None
        if result.status == "complete" and values is None:
            reason = "non_finite: the trial has no finite value for each metric of the study"
            result = dataclasses.replace(result, status="failed", reason=reason, model=None)
        if values is not None and continues(self._spec) and result.model is not None:
            self._parts.checkpoints.save(result.trial, result.model)
        displaced = set() if values is None else self._keep_model(attempt.job, result, values)
        self._parts.recorder.end_attempt(attempt.job, result)
        for trial in displaced:
            self._parts.recorder.drop_model(trial)
        if result.status == "stopped":
            if not self.stopping:  # its worker waited too long for an answer, perhaps while this process slept
                self._pending.append(attempt.suggestion)
            return
        self.progress.seconds.append(self._parts.clock() - attempt.began)
        if result.status == "failed":
            if result.shown and not self.first_failure:
                self._parts.screen.line(result.shown.rstrip())
            self.first_failure = self.first_failure or result.reason
        self._tell(attempt.suggestion, Outcome(result.status, values or {}, "" if values else result.reason))

    def _keep_model(self, job: TrialJob, result: TrialResult, values: Mapping[str, float]) -> set[int]:
        """Log the model if its trial is among the best. Returns the trials whose models it displaces."""
        displaced = None if result.model is None else self._standings.keep(job.trial, values)
        if result.model is None or displaced is None:
            return set()
        model = ModelFile(result.model, job.data.input_shape, job.data.num_classes, self._parts.code)
        self._parts.recorder.log_model(job, model, result.best_epoch)
        return displaced

    def _tell(self, suggestion: Suggestion, outcome: Outcome) -> None:
        trial = suggestion.trial
        self._parts.engine.tell(trial, outcome)
        self._parts.checkpoints.drop(trial)
        self.progress.lead(trial, outcome, suggestion.hparams, self._spec.goal)
        self._count(trial, outcome)
        measured = ", ".join(f"{metric} {_format(value)}" for metric, value in outcome.values.items())
        broke = measured and not self._spec.goal.feasible(outcome.values)
        ended = f"{'infeasible' if broke else 'done'}, {measured}" if measured else say_ended(outcome.status, outcome.reason)
        self._parts.screen.line(f"{self._parts.name(trial)}: {ended}")

    def _count(self, trial: int, outcome: Outcome, earlier: bool = False) -> None:
        status, values, goal = outcome.status, outcome.values, self._spec.goal
        setattr(self.progress, status, getattr(self.progress, status) + 1)
        complete = status == "complete"
        on_front = complete and self._standings.add(trial, values)
        kept = complete and goal.feasible(values)
        self.progress.infeasible += complete and not kept
        value = values[goal.first.metric] if kept else None
        self._budget.count(trial, status, value, earlier, on_front)
        self.progress.best = self._budget.best


def _format(value: float) -> str:
    return f"{value:,.0f}" if value.is_integer() and abs(value) > 1 else f"{value:.4f}"
