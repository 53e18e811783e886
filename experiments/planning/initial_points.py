"""Points that begin a study: the model's defaults, or the best points of another study that fit this space."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlflow.artifacts import load_text

from ...models.training.options import TrainOptions
from ...search.errors import StudyError
from ...search.space.conditions import Value
from ...search.space.parameters import Choice, Float, Int, explain_refusal, normalize
from ...search.space.points import check_point
from ...search.space.rules import middle
from ...search.space.space import Space, walk
from ...search.study.capabilities import LISTED, known_as
from ...search.study.spec import StudySpec
from ..errors import InputError
from ..tracking.leaderboard import read_leaderboard
from ..tracking.reader import RecordedStudy

MOST = 5


def add_defaults(spec: StudySpec, first: Mapping[str, Any]) -> StudySpec:
    """The spec with the point of the defaults enqueued, unless the user enqueues points or the sampler lists all points.

    `first` is the factory's `starts`: the values that a search begins with.
    """
    search = spec.search
    if not search.defaults_first or known_as(search.sampler.name) in LISTED or spec.enqueue or not spec.space.searched:
        return spec
    known = {**vars(TrainOptions()), **first, **spec.training}
    known = {name: value for name, value in known.items() if name not in spec.found.declared}  # hp declares these itself
    return replace(spec, enqueue=(choose_usual_point(spec.space, known),))


def add_recorded(spec: StudySpec, study: RecordedStudy) -> StudySpec:
    """The spec with the points that the study began with, before the new ones."""
    before = study.read_spec().enqueue
    return replace(spec, enqueue=(*before, *(point for point in spec.enqueue if point not in before)))


def choose_usual_point(space: Space, known: Mapping[str, Any]) -> dict[str, Value]:
    """Each searched parameter at its declared default, or else the known one, or else the middle of its range.

    A layer's width that is None takes the value of the name without the number (`filters_2`: `filters`).
    """

    def value(parameter: Float | Int | Choice) -> Value:
        general = known.get(parameter.name.rpartition("_")[0]) if parameter.name in known else None
        for default in (parameter.default, known.get(parameter.name), general):
            if default is not None and not explain_refusal(parameter, default):
                return normalize(parameter, default)
        return middle(parameter)

    searched = {parameter.name for parameter in space.searched}
    return {name: value for name, value in walk(space, value).items() if name in searched}


def find_best_points(study: RecordedStudy, space: Space) -> list[dict[str, Value]]:
    """The points of the study's best trials, in this space's parameters, each once. Raises InputError if there is none."""
    points: list[dict[str, Value]] = []
    for row in read_leaderboard(study):
        if row.front is None or len(points) == MOST:
            break
        artifacts = study.client.get_run(row.run_id).info.artifact_uri
        point = fit_to_space(json.loads(load_text(f"{artifacts}/trial.json"))["values"], space)
        if point and point not in points:
            points.append(point)
    if not points:
        raise InputError(
            f"--enqueue-from: no complete trial of study {study.name!r} keeps its constraints and has a value for a parameter "
            "that is searched here; name another study."
        )
    return points


def draws_alike(one: StudySpec, other: StudySpec) -> bool:
    """Whether the first draws at random of the one are those of the other: trial n's depend on the seed and n alone."""
    same_space = one.identity()["space"] == other.identity()["space"]
    return same_space and one.search.seed == other.search.seed and known_as(other.search.sampler.name) not in LISTED


def fit_to_space(values: Mapping[str, Any], space: Space) -> dict[str, Value]:
    """The values that this space's searched parameters can take."""
    point: dict[str, Value] = {}
    for parameter in space.searched:
        if parameter.name in values:
            try:
                point |= check_point(space, {parameter.name: values[parameter.name]}, "")
            except StudyError:
                continue
    return point
