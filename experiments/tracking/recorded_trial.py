"""A trial as its run in MLflow holds it: what it was trained with, and the numbers that it came to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow.artifacts import load_text
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from ...search.study.goal import EPOCH_METRICS
from ..errors import InputError, write_command
from .kinds import TRIAL
from .reader import RecordedStudy
from .recorded import SCORE

TIMES = ("train_seconds", "samples_per_second", "latency_ms")  # measured anew each time


@dataclass(frozen=True)
class RecordedTrial:
    """A complete or pruned trial. `described` is its trial.json; `epochs` has each epoch's metrics, `final` the others."""

    study: RecordedStudy
    run: Run
    described: Mapping[str, Any]
    epochs: Mapping[int, Mapping[str, float]]
    final: Mapping[str, float]

    @property
    def tags(self) -> Mapping[str, str]:
        return self.run.data.tags

    @property
    def number(self) -> int:
        return int(self.tags["tailor.trial"])

    @property
    def pruned(self) -> bool:
        return self.tags["tailor.status"] == "pruned"


def read_trial(study: RecordedStudy, run: Run) -> RecordedTrial:
    """Read a trial's run. Raises InputError if it was not trained to its end, is a promotion's, or lacks its trial.json."""
    kind = run.data.tags.get("tailor.kind", TRIAL.name)
    if kind != TRIAL.name:
        raise InputError(f"RUN: expected a trial of a search, got a run of kind {kind!r}; give {study.name}:TRIAL.")
    name, status = f"trial {run.data.tags['tailor.trial']} of study {study.name}", run.data.tags.get("tailor.status", "running")
    if status not in ("complete", "pruned"):
        reason = run.data.tags.get("tailor.status_reason", "")
        raise InputError(
            f"RUN: expected a complete or pruned trial, got {name}, whose status is {status}"
            f"{f' ({reason})' if reason else ''}; {write_command('status', study.name)} lists others."
        )
    try:
        described = json.loads(load_text(f"{run.info.artifact_uri}/trial.json"))
    except (MlflowException, OSError) as error:
        raise InputError(f"RUN: {name} has no trial.json, which says what it was trained with; take another trial.") from error
    epochs: dict[int, dict[str, float]] = {}
    for metric in filter(run.data.metrics.__contains__, EPOCH_METRICS):
        for one in study.client.get_metric_history(run.info.run_id, metric):
            epochs.setdefault(one.step, {})[metric] = one.value
    final = {name: value for name, value in run.data.metrics.items() if name not in (*EPOCH_METRICS, *TIMES, SCORE)}
    return RecordedTrial(study, run, described, dict(sorted(epochs.items())), final)
