"""What a compression begins with: the registered version, its study and data, how its trial was trained, and its student."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import load_text
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from ...models.factory import BUILT_IN, resolve
from ...models.training.options import NAMES
from ...search.errors import unknown
from ...search.study.spec import StudySpec
from ..datasets import splits as splitting
from ..datasets.splits import Splits
from ..errors import InputError
from ..planning.resolve import check_kind, open_data
from ..registry.files import fetch_saved_model
from ..registry.versions import DIGEST, read_promoted_tag
from ..store import Store
from ..tracking.reader import RecordedStudy, find_study
from ..tracking.references import find_run, split_reference
from ..trials.job import TrialJob
from ..trials.saved_model import SavedModel
from .records import Asked

# What makes the net of a factory small; other hyperparameters have the factory's defaults.
SMALL: Mapping[str, Mapping[str, Any]] = {
    "mlp": {"depth": 1, "units": 32},
    "cnn": {"blocks": 2, "filters": 8},
    "resnet": {"width": 8},
    "separable": {"depth": 1, "width": 16},
}


@dataclass(frozen=True)
class Source:
    """A version to compress. `described` is its run's trial.json: the factory, all values, the epochs."""

    version: ModelVersion
    study: RecordedStudy
    spec: StudySpec
    splits: Splits
    saved: SavedModel
    described: Mapping[str, Any]
    trained: int  # the trial's last epoch

    @property
    def name(self) -> str:
        return f"{self.version.name} version {self.version.version}"

    def make_job(self, store: Store, asked: Asked, epochs: int) -> TrialJob:
        """The job that trains it on, for so many epochs, on the study's train and val in the store's cache."""
        own = self.described["model"] == self.spec.model  # or a student's factory
        return TrialJob(
            study=self.spec.name,
            trial=0,
            attempt=0,
            model=self.described["model"],
            values={**self.described["values"], "precision": "float32"},
            data=splitting.cache(self.splits, store.cache),
            epochs=epochs,
            seed=asked.seed,
            monitor="val_accuracy",
            maximize=True,
            waits=False,
            folder=str(Path.cwd()),
            code=None if self.saved.source is None else str(self.saved.source),
            in_memory=self.spec.workers.in_memory,
            declared=self.spec.found.declared if self.spec.compiled and own else None,
        )


def read_source(client: MlflowClient, version: ModelVersion, data_dir: Path | None) -> Source:
    """Read all of it. Raises InputError if the study, its data or the model's trial is gone, or is another by now."""
    name = read_promoted_tag(version, "tailor.study")
    study = find_study(client, name)
    if study is None:
        raise InputError(f"NAME: study {name!r} of {version.name} version {version.version} is not in the store.")
    spec = study.read_spec()
    splits = open_data(spec, data_dir)
    if splits.digest != read_promoted_tag(version, DIGEST):
        made = f"{version.name} version {version.version}"
        raise InputError(f"NAME: {spec.dataset!r} now holds other data than {made} was made from.")
    saved = fetch_saved_model(client, version.source.removeprefix("models:/"), version.tags)
    described = _read_trial(client, version.run_id)
    return Source(version, study, spec, splits, saved, described, find_last_epoch(client, version.run_id, described))


def find_last_epoch(client: MlflowClient, run_id: str, described: Mapping[str, Any]) -> int:
    """After which epoch the trial ended: by itself perhaps, before those planned. A compressed model remembers it."""
    steps = [each.step for each in client.get_metric_history(run_id, "val_loss")]
    return int(described.get("trained") or max(steps, default=described["epochs"]))


def choose_student(client: MlflowClient, source: Source, asked: Asked) -> tuple[str, dict[str, Any]]:
    """The student's factory and hyperparameters. Raises InputError that names what there is."""
    if split_reference(asked.distil)[1] is not None:
        factory, hparams = _read_point(client, asked.distil)
    else:  # dense nets stay dense, the others become convolutional
        factory = asked.distil or ("mlp" if source.described["model"] == "mlp" else "cnn")
        hparams = dict(SMALL.get(factory, {}))
    if factory not in BUILT_IN:
        raise InputError(f"--distil: expected one of {', '.join(BUILT_IN)}, or STUDY:TRIAL of such a model, got {factory!r}.")
    given, defaults = dict(map(_parse_value, asked.student)), resolve(factory).defaults or {}
    for name, value in given.items():
        if name not in defaults:
            raise unknown(f"--student (a hyperparameter of {factory})", name, defaults)
        check_kind(f"--student {name}", defaults[name], [value])
    return factory, {**hparams, **given}


def make_student_job(teacher: TrialJob, student: tuple[str, Mapping[str, Any]], epochs: int) -> TrialJob:
    """The job of a student: its own architecture, and the teacher's seed and data."""
    return replace(
        teacher, model=student[0], values={**student[1], "precision": "float32"}, epochs=epochs, code=None, declared=None
    )


def _read_point(client: MlflowClient, reference: str) -> tuple[str, dict[str, Any]]:
    described = _read_trial(client, find_run(client, reference)[1].info.run_id)
    return described["model"], {name: value for name, value in described["values"].items() if name not in NAMES}


def _parse_value(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise InputError(f"--student: expected KEY=VALUE, such as filters=8, got {text!r}.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _read_trial(client: MlflowClient, run_id: str) -> dict[str, Any]:
    try:
        return json.loads(load_text(f"{client.get_run(run_id).info.artifact_uri}/trial.json"))
    except (MlflowException, OSError) as error:
        raise InputError(f"NAME: run {run_id} has no trial.json, which says how the model was trained.") from error
