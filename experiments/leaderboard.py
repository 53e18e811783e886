"""The leaderboard of a study, read back from MLflow: one row a trial, best first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from experiments.recorded import trial_runs
from search.spec import EPOCH_METRICS, Objective


@dataclass(frozen=True)
class Row:
    """A trial by its newest attempt. `value` is the objective's, None where it did not complete."""

    trial: int
    attempts: int
    status: str
    value: float | None
    run_id: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """The row as plain data."""
        return asdict(self)


def objective_of(study_run: Run) -> Objective:
    """The objective that a study's run is tagged with."""
    return Objective(study_run.data.tags["tailor.objective"], study_run.data.tags["tailor.direction"])


def rows(client: MlflowClient, experiment_id: str, objective: Objective) -> list[Row]:
    """Every trial: complete ones best first (ties by number), then the others by number."""
    newest: dict[int, Run] = {}
    for run in trial_runs(client, experiment_id):
        trial, attempt = int(run.data.tags["tailor.trial"]), int(run.data.tags["tailor.attempt"])
        if trial not in newest or attempt > int(newest[trial].data.tags["tailor.attempt"]):
            newest[trial] = run
    found = [_row(run, objective) for run in newest.values()]
    sign = -1 if objective.direction == "maximize" else 1
    return sorted(found, key=lambda row: (row.value is None, 0 if row.value is None else sign * row.value, row.trial))


def _row(run: Run, objective: Objective) -> Row:
    tags, metrics = run.data.tags, run.data.metrics
    status = tags.get("tailor.status", "running")
    shown = {name: value for name, value in metrics.items() if name not in EPOCH_METRICS}
    return Row(
        trial=int(tags["tailor.trial"]),
        attempts=int(tags["tailor.attempt"]),
        status=status,
        value=metrics.get(objective.key) if status == "complete" else None,
        run_id=run.info.run_id,
        params=dict(run.data.params),
        metrics=shown,
        reason=tags.get("tailor.status_reason", ""),
    )
