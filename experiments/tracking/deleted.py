"""What a person deletes in MLflow while a search runs: without its study a search cannot go on, without a trial's run it can."""

from __future__ import annotations

from mlflow import MlflowClient

from ..errors import RunError
from .erase import ACTIVE
from .reader import RecordedStudy


def refuse_deleted_study(study: RecordedStudy) -> None:
    """Raise RunError, which says how to restore it, if the study's experiment or its own run was deleted."""
    refuse_deleted_experiment(study.client, study.experiment_id)
    if study.client.get_run(study.run_id).info.lifecycle_stage != ACTIVE:
        raise _explain(f"the run of study {study.name!r}", f"mlflow runs restore --run-id {study.run_id}")


def refuse_deleted_experiment(client: MlflowClient, experiment_id: str) -> None:
    """Raise RunError, which says how to restore it, if the study's experiment was deleted."""
    experiment = client.get_experiment(experiment_id)
    if experiment.lifecycle_stage != ACTIVE:
        raise _explain(f"study {experiment.name!r}", f"mlflow experiments restore -x {experiment_id}")


def _explain(what: str, command: str) -> RunError:
    return RunError(
        f"{what} was deleted in MLflow while it ran. Restore it, and the same command resumes: "
        f'eval "$(tailor env)", then {command}.'
    )
