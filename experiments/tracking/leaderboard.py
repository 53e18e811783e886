"""The leaderboard of a study, read back from MLflow: one row a trial, best first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from ...search.study.goal import EPOCH_METRICS, Constraint, Goal, Objective
from .reader import trial_runs

DIGITS = {"parameters": 0, "model_bytes": 0, "best_epoch": 0, "train_seconds": 1}


@dataclass(frozen=True)
class Row:
    """A trial by its newest attempt. `value` is the first objective's, None where it did not complete; `start`, `end` in ms.

    `values` are those of all that the goal names, by metric; `front` the Pareto front that it stands on, from 0, None for one
    that breaks a constraint or did not complete.
    """

    trial: int
    attempts: int
    status: str
    value: float | None
    values: Mapping[str, float]
    front: int | None
    run_id: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    reason: str
    start: int
    end: int | None

    @property
    def standing(self) -> str:
        """The status, with the reason of a trial that did not complete."""
        if self.status == "complete":
            return "complete" if self.front is not None or not self.values else "breaks a constraint"
        return self.status if self.status == "running" else f"{self.status} {self.reason}"[:60].rstrip()

    def label(self, goal: Goal) -> str:
        """The trial's number, with a star on the Pareto front."""
        return f"{self.trial} *" if goal.several and self.front == 0 else str(self.trial)

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        return asdict(self)


def goal_of(study_run: Run) -> Goal:
    """The goal that a study's run is tagged with."""
    tags = study_run.data.tags
    first = Objective(tags["tailor.objective"], tags["tailor.direction"])
    more = json.loads(tags.get("tailor.goal", "{}"))
    others = tuple(Objective(*pair) for pair in more.get("others", ()))
    return Goal((first, *others), tuple(map(Constraint.parse, more.get("constraints", ()))))


def rows(client: MlflowClient, experiment_id: str, goal: Goal) -> list[Row]:
    """Every trial: complete ones best first, in the goal's order, then the others by number."""
    newest: dict[int, Run] = {}
    for run in trial_runs(client, experiment_id):
        trial, attempt = int(run.data.tags["tailor.trial"]), int(run.data.tags["tailor.attempt"])
        if trial not in newest or attempt > int(newest[trial].data.tags["tailor.attempt"]):
            newest[trial] = run
    values: dict[int, dict[str, float]] = {}
    for trial, run in newest.items():
        measured = goal.measured(run.data.metrics) if run.data.tags.get("tailor.status") == "complete" else None
        if measured is not None:
            values[trial] = measured
    fronts = goal.fronts(values)
    order = goal.order(values) + sorted(newest.keys() - values.keys())
    return [_row(newest[trial], goal, values.get(trial, {}), fronts.get(trial)) for trial in order]


def _row(run: Run, goal: Goal, values: Mapping[str, float], front: int | None) -> Row:
    tags, metrics = run.data.tags, run.data.metrics
    shown = {name: value for name, value in metrics.items() if name not in EPOCH_METRICS}
    return Row(
        trial=int(tags["tailor.trial"]),
        attempts=int(tags["tailor.attempt"]),
        status=tags.get("tailor.status", "running"),
        value=values.get(goal.first.metric),
        values=values,
        front=front,
        run_id=run.info.run_id,
        params=dict(run.data.params),
        metrics=shown,
        reason=tags.get("tailor.status_reason", ""),
        start=run.info.start_time,
        end=run.info.end_time,
    )


def best(board: Sequence[Row]) -> Row | None:
    """The best complete trial that keeps the constraints, of rows that are best first."""
    return next((row for row in board if row.front is not None), None)


def number(value: float | None, metric: str) -> str:
    """A metric's value, as a table shows it."""
    return "–" if value is None else f"{value:,.{DIGITS.get(metric, 4)}f}"


def short(text: str) -> str:
    """A hyperparameter's recorded text, as a table shows it: whole numbers whole, others with four digits."""
    try:
        return text if text.lstrip("-").isdigit() else f"{float(text):.4g}"
    except ValueError:
        return text
