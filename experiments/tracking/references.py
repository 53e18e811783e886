"""What names a trial in every command: STUDY:TRIAL, STUDY:best, or a run's id."""

from __future__ import annotations

import re

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from ..errors import InputError
from .leaderboard import read_best
from .reader import RecordedStudy, find_study, no_study

BEST = "best"
NO_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow's codes for an unknown or invalid run id


def split_reference(name: str) -> tuple[str, str | None]:
    """The study, and the trial's number or "best", that STUDY:TRIAL or STUDY:best names; None for what names no trial."""
    match = re.fullmatch(rf"(.+):(\d+|{BEST})", name)
    return (name, None) if match is None else (match[1], match[2])


def find_run(client: MlflowClient, name: str) -> tuple[str, Run]:
    """A run by its id, by STUDY:TRIAL, or by STUDY:best. Raises InputError."""
    study, trial = split_reference(name)
    if trial is None:
        try:
            run = client.get_run(name)
        except MlflowException as error:
            if error.error_code not in NO_RUN:  # a server that is away, for example
                raise
            if find_study(client, name) is not None:
                raise InputError(f"RUN: {name!r} is a study; give one of its trials, {name}:TRIAL or {name}:best.") from error
            raise InputError(f"RUN: there is no run {name!r}; give a run's id, STUDY:TRIAL or STUDY:best.") from error
        if "tailor.trial" not in run.data.tags:
            own = run.data.tags.get("tailor.study", "STUDY")
            raise InputError(f"RUN: expected a trial's run, got {name!r}, which is not one; give {own}:TRIAL or {own}:best.")
        return run.info.run_name or name, run
    found = find_study(client, study)
    if found is None:
        raise no_study("RUN", study, client)
    if trial == BEST:
        best = read_best(found)
        if best is None:
            raise InputError(f"RUN: study {study!r} has no complete trial{found.goal.within} yet.")
        return f"{study}:{best.trial}", client.get_run(best.run_id)
    attempts = found.search_attempts(f"tags.`tailor.trial` = '{trial}'")
    if newest := max(attempts, key=lambda one: one.attempt, default=None):
        return name, client.get_run(newest.run_id)
    numbers = ", ".join(map(str, sorted({one.trial for one in found.read_attempts()}))) or "none yet"
    raise InputError(f"RUN: study {study!r} has no trial {trial}; it has: {numbers[:200]}.")


def find_trial_number(study: RecordedStudy, trial: str | None) -> int | None:
    """The number of a trial that `split_reference` found; None if it found none. Raises InputError if nothing is complete."""
    if trial != BEST:
        return None if trial is None else int(trial)
    if (best := read_best(study)) is None:
        raise InputError(f"STUDY: study {study.name!r} has no complete trial{study.goal.within} yet.")
    return best.trial
