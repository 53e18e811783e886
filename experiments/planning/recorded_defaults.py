"""Tailor's defaults, recorded when a study begins, so that a later Tailor with other defaults does not change the study."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from ...models.factory import BUILT_IN, resolve
from ...models.training.options import COMPILED, TrainOptions
from ...search.study.capabilities import HALVING, usual_pruner
from ...search.study.spec import StudySpec


def list_defaults(spec: StudySpec) -> dict[str, Any]:
    """The defaults of the training options and of a built-in model's hyperparameters, as JSON returns them."""
    options = dataclasses.asdict(TrainOptions())
    if spec.compiled:
        options = {name: value for name, value in options.items() if name not in COMPILED}  # the compiled model brings its own
    model = resolve(spec.model).defaults if spec.model in BUILT_IN else None
    return json.loads(json.dumps({**options, **(model or {})}))


def resolve_training(spec: StudySpec, mine: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """What holds for every trial, given or by default (`mine`).

    An option that `others` lacks is new or gone, so there is nothing to compare it with: it is omitted.
    """
    varied = spec.source.names() | {*spec.found.declared}
    known = {name: value for name, value in mine.items() if name in others and name not in varied}
    return {**known, **spec.training}


def keep_pruner(spec: StudySpec, before: StudySpec) -> StudySpec:
    """The spec of a study that resumes, with the halving of its last start if the file still names no pruner.

    So trials are compared after the same epochs, though `max_epochs` or Tailor's default changed since.
    """
    kept = before.search.pruner
    by_default = spec.search.pruner == usual_pruner(spec) and {*kept.arguments} <= {"min_resource"}
    if not by_default or not spec.search.pruner.name == kept.name == HALVING:
        return spec
    return dataclasses.replace(spec, search=dataclasses.replace(spec.search, pruner=kept))
