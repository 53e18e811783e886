"""Writes what MLflow shows on the page of a study's own run: best values, best configuration, counts, description."""

from __future__ import annotations

import time
from collections.abc import Sequence

from mlflow.entities import Metric, Param, RunTag

from ...search.study.goal import EPOCH_METRICS
from ...search.study.spec import StudySpec
from .descriptions import count_by_status, make_link, write_study_note
from .kinds import TRIAL
from .leaderboard import Row, find_best
from .reader import RecordedStudy
from .recorded import NOTE

MOST_PARAMS = 100  # in one batch


def record_results(study: RecordedStudy, spec: StudySpec, board: Sequence[Row]) -> None:
    """Write a study's results to its run.

    MLflow never changes a parameter, and a study that resumes may find a better trial: so the parameters are named by the
    best trial, as in `trial-005/learning_rate`. Metrics have the number of trials as their step.
    """
    best, now = find_best(board), int(time.time() * 1000)
    values = count_by_status(board)
    params: list[Param] = []
    if best is not None:
        values |= {name: value for name, value in best.metrics.items() if name not in EPOCH_METRICS}
        values["best_trial"] = float(best.trial)
        params = [Param(f"{TRIAL.name_run(best.trial)}/{name}", value) for name, value in best.params.items()]
    metrics = [Metric(name, value, now, len(board)) for name, value in values.items()]
    note = write_study_note(spec, board, make_link(study.experiment_id, study.run_id), study.promotable)
    study.client.log_batch(study.run_id, metrics=metrics, tags=[RunTag(NOTE, note)])
    for start in range(0, len(params), MOST_PARAMS):
        study.client.log_batch(study.run_id, params=params[start : start + MOST_PARAMS])
