"""Runs side by side: the parameters that differ, the metrics, and how the confusion matrices differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import load_text
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from ...search.space.numbers import read_number
from ...search.study.goal import EPOCH_METRICS
from ...search.study.spec import StudySpec
from ..errors import InputError
from ..tracking.reader import RecordedStudy, find_study
from ..tracking.recorded import DEFAULTS, PRECISION, SCORE, STUDY_TAG
from ..tracking.references import find_run
from ..tracking.tracker import flatten
from ..trials.metrics import read_confusion

MOST_CONFUSED = 8
ALWAYS = ("model", "precision")


@dataclass(frozen=True)
class Comparison:
    """Runs by name; what differs by parameter and metric, a value a run (None if it has none); changes of confusion.

    If `same_images` is false, the runs measured different images, or different cuts of them, and no confusions are compared.
    """

    runs: Mapping[str, str]  # name to run id
    params: Mapping[str, Sequence[str | None]]
    metrics: Mapping[str, Sequence[float | None]]
    same_images: bool
    confusions: Sequence[Mapping[str, Any]]  # of the last run against the first: true, predicted, before, after

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def compare(client: MlflowClient, names: Sequence[str]) -> Comparison:
    """Read the runs and set them side by side, each once. Raises InputError if one does not exist."""
    found: dict[str, Run] = {}
    for one in names:
        name, run = find_run(client, one)
        if run.info.run_id not in (known.info.run_id for known in found.values()):
            found[name if name not in found else f"{name} ({run.info.run_id[:8]})"] = run
    runs = [*found.values()]
    if len(runs) == 1:
        raise InputError(f"RUN: {' and '.join(names)} are one trial, {next(iter(found))}; name another one to compare it with.")
    given = [_list_params(client, run) for run in runs]
    params = {key: [one.get(key) for one in given] for key in (*ALWAYS, *_keys(run.data.params for run in runs))}
    epochs = [_fetch_epochs(run) for run in runs]
    if None not in epochs:
        params.setdefault("max_epochs", epochs)
    metrics = {
        key: [run.data.metrics.get(key) for run in runs]
        for key in _keys(run.data.metrics for run in runs)
        if key not in (*EPOCH_METRICS, SCORE)
    }
    same_images = len({run.data.tags.get("tailor.dataset_sha256") for run in runs}) == 1
    return Comparison(
        {name: run.info.run_id for name, run in found.items()},
        {key: values for key, values in params.items() if len({*map(_read_value, values)}) > 1},
        metrics,
        same_images,
        _confusions(fetch_confusion(runs[0]), fetch_confusion(runs[-1])) if same_images else [],
    )


def _list_params(client: MlflowClient, run: Run) -> dict[str, str]:
    """The run's model, precision and parameters, and the defaults of what its study does not name: a parameter that it names is
    left out by its condition, and has no value.
    """
    with suppress(InputError):  # its experiment was renamed, or deleted, in MLflow
        study = find_study(client, run.data.tags[STUDY_TAG])
        if study is not None:
            spec = study.read_spec()
            return {"model": spec.model, **list_values(run, study, spec)}
    return dict(run.data.params)


def list_values(run: Run, study: RecordedStudy, spec: StudySpec) -> dict[str, str]:
    """The values that a trial ran with as texts, given or by default; what its condition leaves out, or is off, has none."""
    # Without a declared space nobody knows which names its trials may have.
    defaults = flatten(json.loads(study.tags.get(DEFAULTS, "{}"))) if spec.source.declared else {}
    own = {"precision", *(spec.source.names() if defaults else ())}
    off = {name for name, value in defaults.items() if value is None}  # of an option that is off by default, false says it too
    known = {name: str(value) for name, value in defaults.items() if name not in (*own, *off)}
    given = {name: text for name, text in run.data.params.items() if name not in off or text != "False"}
    measured = {"precision": run.data.tags[PRECISION]} if PRECISION in run.data.tags else {}
    return {**known, **given, **measured}


def _read_value(text: str | None) -> str | float | None:
    """The number that a parameter's text is, if it is one: 0 is 0.0."""
    number = None if text is None else read_number(text)
    return text if number is None else number


def fetch_confusion(run: Run) -> Mapping[str, Any] | None:
    """The labels and counts in a run's confusion_matrix.json; None if it has none."""
    return _fetch(run, "confusion_matrix.json")


def _fetch_epochs(run: Run) -> str | None:
    """The epochs that the trial was planned for, which its schedule runs over; None before it ended."""
    epochs = (_fetch(run, "trial.json") or {}).get("epochs")
    return None if epochs is None else str(epochs)


def _fetch(run: Run, file: str) -> Any:
    """What a JSON file of a run holds; None if it has none."""
    try:
        return json.loads(load_text(f"{run.info.artifact_uri}/{file}"))
    except (MlflowException, OSError):
        return None


def _confusions(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The cells off the diagonal whose counts differ most, if both have the same classes."""
    if before is None or after is None or before["labels"] != after["labels"]:
        return []
    labels, old, new = before["labels"], read_confusion(before), read_confusion(after)
    # A matrix may omit its smallest cells: a missing cell is then no count of 0.
    pairs = old.keys() & new.keys() if before.get("left_out") or after.get("left_out") else old.keys() | new.keys()
    cells = [
        {"true": labels[i], "predicted": labels[j], "before": old.get((i, j), 0), "after": new.get((i, j), 0)}
        for i, j in sorted(pairs)
        if i != j and old.get((i, j), 0) != new.get((i, j), 0)
    ]
    return sorted(cells, key=lambda c: -abs(c["after"] - c["before"]))[:MOST_CONFUSED]


def _keys(tables: Any) -> list[str]:
    return list(dict.fromkeys(key for table in tables for key in sorted(table)))
