"""What a study aims for: objectives, constraints, and the order in which they put trials. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..errors import StudyError, unknown

Direction = Literal["maximize", "minimize"]
Values = Mapping[str, float]  # of a trial, by metric

EPOCH_METRICS = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate")
FINAL_METRICS = ("val_macro_f1", "parameters", "model_bytes", "train_seconds", "samples_per_second", "latency_ms")
OBJECTIVES = ("val_accuracy", "val_loss", "train_accuracy", "train_loss", *FINAL_METRICS)


def usual_direction(metric: str) -> Direction:
    """Which way a metric is better, as nearly everyone means it."""
    return "maximize" if metric.endswith(("accuracy", "f1", "per_second")) else "minimize"


@dataclass(frozen=True)
class Objective:
    """A metric to optimise, and which way is better."""

    metric: str
    direction: Direction

    @property
    def by_epoch(self) -> bool:
        """Whether it is measured after every epoch (and can prune), or once at the end of a trial."""
        return self.metric in EPOCH_METRICS

    @property
    def key(self) -> str:
        """The name of the metric on a trial's run that holds the trial's one value: its best epoch, or its end."""
        return key_of(self.metric)

    def better(self, one: float, other: float) -> bool:
        """Whether `one` is strictly better than `other`."""
        return one > other if self.direction == "maximize" else one < other

    def cost(self, value: float) -> float:
        """The value, negated if needed, so that less is better."""
        return -value if self.direction == "maximize" else value


@dataclass(frozen=True)
class Constraint:
    """`METRIC <= BOUND` or `METRIC >= BOUND`, on a trial's final metrics."""

    metric: str
    op: Literal["<=", ">="]
    bound: float

    @classmethod
    def parse(cls, text: str) -> Constraint:
        match = re.fullmatch(r"\s*([a-z_0-9]+)\s*(<=|>=)\s*([-+.\deE_]+)\s*", text) if isinstance(text, str) else None
        try:
            bound = float(match[3]) if match else math.nan
        except ValueError:
            bound = math.nan
        if match is None or not math.isfinite(bound):
            wanted = "'METRIC <= NUMBER' with a finite number, such as 'parameters <= 100_000'"
            raise StudyError(f"study.constraints: expected {wanted}, got {text!r}.")
        if match[1] not in OBJECTIVES:
            raise unknown("study.constraints (nothing that a search can be steered by has that name)", match[1], OBJECTIVES)
        return cls(match[1], match[2], bound)  # type: ignore[arg-type]

    def violation(self, values: Values) -> float:
        """By how much the values break it; 0 or less if they do not."""
        return (values[self.metric] - self.bound) * (1 if self.op == "<=" else -1)

    def __str__(self) -> str:
        return f"{self.metric} {self.op} {repr(self.bound).removesuffix('.0')}"


@dataclass(frozen=True)
class Goal:
    """The objectives, the first of which steers each trial and breaks ties, and the constraints."""

    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...] = ()

    @property
    def first(self) -> Objective:
        return self.objectives[0]

    @property
    def several(self) -> bool:
        return len(self.objectives) > 1

    @property
    def within(self) -> str:
        """The words after "no complete trial" if there are constraints."""
        return " that keeps its constraints" if self.constraints else ""

    def measured(self, metrics: Values) -> dict[str, float] | None:
        """The values of what the goal names, from the metrics on a trial's run; None if one is missing or no number."""
        names = [o.metric for o in self.objectives] + [c.metric for c in self.constraints]
        found = {name: metrics.get(key_of(name), math.nan) for name in names}
        return found if all(map(math.isfinite, found.values())) else None

    def feasible(self, values: Values) -> bool:
        """Whether the values keep every constraint."""
        return all(constraint.violation(values) <= 0 for constraint in self.constraints)

    def breach(self, values: Values) -> float:
        """By how much the values break the constraints, in all; 0 if they keep them."""
        return sum(max(0.0, constraint.violation(values)) for constraint in self.constraints)

    def find_broken(self, values: Values) -> Constraint | None:
        """The first constraint on one of these values that they break."""
        return next((one for one in self.constraints if one.metric in values and one.violation(values) > 0), None)

    def beaten(self, values: Values, others: Iterable[Values]) -> bool:
        """Whether one of the others is nowhere worse than the values, in all objectives."""
        return any(all(not o.better(values[o.metric], other[o.metric]) for o in self.objectives) for other in others)

    def order(self, trials: Mapping[int, Values]) -> list[int]:
        """The trials, best first: feasible before infeasible, front after front, then by the first objective, then by number."""
        layer = self.fronts(trials)
        cost = {t: self.first.cost(values[self.first.metric]) for t, values in trials.items()}
        return sorted(trials, key=lambda t: (self.breach(trials[t]), layer.get(t, 0), cost[t], t))

    def fronts(self, trials: Mapping[int, Values]) -> dict[int, int]:
        """The Pareto front that each feasible trial stands on, from 0; with one objective all stand on the first."""
        left = [trial for trial, values in trials.items() if self.feasible(values)]
        if not self.several:
            return dict.fromkeys(left, 0)
        import numpy as np  # here, as reading a study file does not need it

        found: dict[int, int] = {}
        costs = np.array([[o.cost(trials[t][o.metric]) for o in self.objectives] for t in left])
        rows = np.arange(len(left))
        front = 0
        while rows.size:
            here = costs[rows]
            no_worse = (here[:, None] <= here[None]).all(axis=2)  # [i, j]: i is nowhere worse than j
            beaten = (no_worse & (here[:, None] < here[None]).any(axis=2)).any(axis=0)
            found |= {left[row]: front for row in rows[~beaten]}
            rows, front = rows[beaten], front + 1
        return found


def key_of(metric: str) -> str:
    """The name, on a trial's run, of the trial's one value of the metric."""
    return f"best_{metric}" if metric in EPOCH_METRICS else metric
