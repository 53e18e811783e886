"""Points to begin a study with: those of another study's best trials that lie in this one's space."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import load_text

from experiments.errors import InputError
from experiments.leaderboard import goal_of, rows
from experiments.recorded import find_study, study_names
from search.errors import StudyError
from search.space import Space, Value, check_point

MOST = 5


def best_points(client: MlflowClient, study: str, space: Space) -> list[dict[str, Value]]:
    """What is searched here of the study's best trials, each point once. Raises InputError where there is none."""
    found = find_study(client, study)
    if found is None:
        raise InputError(f"--enqueue-from: there is no study {study!r}; there are: {', '.join(study_names(client)) or 'none'}.")
    experiment_id, run = found
    points: list[dict[str, Value]] = []
    for row in rows(client, experiment_id, goal_of(run)):
        if row.value is None or len(points) == MOST:
            break
        artifacts = client.get_run(row.run_id).info.artifact_uri
        point = fitting(json.loads(load_text(f"{artifacts}/trial.json"))["values"], space)
        if point and point not in points:
            points.append(point)
    if not points:
        raise InputError(
            f"--enqueue-from: no complete trial of study {study!r} has a value for any parameter that is searched here."
        )
    return points


def fitting(values: Mapping[str, Any], space: Space) -> dict[str, Value]:
    """The values that this space's searched parameters can take."""
    point: dict[str, Value] = {}
    for parameter in space.searched:
        if parameter.name in values:
            try:
                point |= check_point(space, {parameter.name: values[parameter.name]}, "")
            except StudyError:
                continue
    return point
