"""Plays an engine on a stand-in: workers that take no time, and a clock that is only counted."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import optuna
from stand_ins import Curve, StandIn

from tailor.search.engines.optuna import OptunaEngine
from tailor.search.engines.protocol import Done, Engine, Outcome, Suggestion, Wait
from tailor.search.engines.samplers import make_pruner, make_sampler
from tailor.search.space.rules import draw
from tailor.search.space.space import walk
from tailor.search.study.goal import Objective
from tailor.search.study.spec import SearchPlan, StudySpec

WORKERS = 2
FIXED = 0.1  # seconds that a trial costs besides its epochs, of which the mean takes one
METRIC = "val_accuracy"

Maker = Callable[[StandIn, int], Engine]


@dataclass
class Course:
    """The best value so far whenever it rose, with the seconds it took, and how many trials were begun."""

    best: list[tuple[float, float]] = field(default_factory=list)
    trials: int = 0

    def add(self, seconds: float, value: float) -> None:
        if not self.best or value > self.best[-1][1]:
            self.best.append((seconds, value))

    def when(self, value: float) -> float | None:
        """The seconds until that value was reached."""
        return next((seconds for seconds, reached in self.best if reached >= value), None)

    def at(self, seconds: float) -> float:
        """The best value by then; minus infinity before the first."""
        return max((value for when, value in self.best if when <= seconds), default=float("-inf"))


def play(engine: Engine, problem: StandIn, seconds: float, workers: int = WORKERS, enough: float = math.inf) -> Course:
    """Run a search of so many seconds, or until it has a value that is enough. All that is random is in the engine."""
    course = Course()
    idle, events = workers, list[tuple[float, int, Suggestion, Curve, int]]()
    now, order = 0.0, 0
    while True:
        while idle:
            asked = engine.ask()
            if isinstance(asked, (Wait, Done)):
                break
            idle, order, course.trials = idle - 1, order + 1, course.trials + 1
            curve = problem.curve(asked.hparams)
            heapq.heappush(events, (now + FIXED + curve.seconds, order, asked, curve, asked.epochs_done + 1))
        if not events or events[0][0] > seconds:
            return course
        now, number, trial, curve, epoch = heapq.heappop(events)
        course.add(now, curve.values[epoch - 1])  # what counts is how good it is, not how good it looks
        if curve.values[epoch - 1] >= enough:
            return course
        if engine.report(trial.trial, epoch, {METRIC: curve.values[epoch - 1] + curve.luck}):
            engine.tell(trial.trial, Outcome("pruned"))
        elif epoch == min(trial.epochs, len(curve.values)):
            engine.tell(trial.trial, Outcome("complete", {METRIC: max(curve.values[trial.epochs_done : epoch]) + curve.luck}))
        else:
            heapq.heappush(events, (now + curve.seconds, number, trial, curve, epoch + 1))
            continue
        idle += 1


def spec_of(problem: StandIn, plan: SearchPlan) -> StudySpec:
    """The problem as a study."""
    return StudySpec("played", "none", "none", Objective(METRIC, "maximize"), plan, problem.space)


def optuna_engine(spec: StudySpec) -> OptunaEngine:
    """Tailor's engine over an Optuna study in memory."""
    study = optuna.create_study(
        sampler=make_sampler(spec.search, spec.search.seed), pruner=make_pruner(spec.search), direction="maximize"
    )
    return OptunaEngine(spec, study, "sqlite://", print)


class OneEpochEach:
    """Train `count` random points for one epoch each, and then the best `keep` of them on to the end; then again."""

    def __init__(self, problem: StandIn, seed: int, count: int = 32, keep: int = 4) -> None:
        self._problem, self._rng, self._count, self._keep = problem, random.Random(seed), count, keep
        self._asked: dict[int, Suggestion] = {}
        self._values: dict[int, float] = {}
        self._round: list[Suggestion] = []
        self._next: list[Suggestion] = []

    def ask(self) -> Suggestion | Wait:
        if not self._next:
            if len(self._values) < len(self._asked):
                return Wait()
            self._next = self._continued() if self._round and self._round[0].continues is None else self._fresh()
            self._round = list(self._next)
        suggestion = self._next.pop(0)
        self._asked[suggestion.trial] = suggestion
        return suggestion

    def report(self, trial: int, epoch: int, values: object) -> bool:
        return False

    def tell(self, trial: int, outcome: Outcome) -> None:
        self._values[trial] = outcome.values[METRIC]

    def _fresh(self) -> list[Suggestion]:
        first = len(self._asked)
        points = [walk(self._problem.space, lambda parameter: draw(parameter, self._rng)) for _ in range(self._count)]
        return [Suggestion(first + i, point, 1) for i, point in enumerate(points)]

    def _continued(self) -> list[Suggestion]:
        first = len(self._asked)
        best = sorted(self._round, key=lambda suggestion: -self._values[suggestion.trial])[: self._keep]
        return [
            Suggestion(first + i, earlier.hparams, self._problem.epochs, continues=earlier.trial, epochs_done=1)
            for i, earlier in enumerate(best)
        ]
