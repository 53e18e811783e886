"""One trial in full: all its attempts, values, hyperparameters, curve, error and files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.artifacts import load_text
from mlflow.exceptions import MlflowException

from ...search.study.capabilities import continues
from ...search.study.goal import EPOCH_METRICS
from ..errors import InputError
from ..tracking.reader import RecordedStudy, find_study
from ..tracking.recorded import RecordedAttempt
from ..tracking.references import find_run
from ..tracking.tracker import flatten
from ..trials.failure import is_own

BARS = "▁▂▃▄▅▆▇█"
WIDEST = 60  # bars of a curve
TRACEBACK = "traceback.txt"


@dataclass(frozen=True)
class TrialDetails:
    """A trial by its newest attempt.

    `curve` has the objective by epoch, from `first_epoch` on, `training` what the study fixed, `place` the error's file and line.
    """

    study: str
    trial: int
    run_id: str
    status: str
    reason: str
    place: str
    metric: str
    values: Mapping[str, float]
    params: Mapping[str, str]
    training: Mapping[str, Any]
    curve: Sequence[float]
    first_epoch: int
    attempts: Sequence[RecordedAttempt]
    artifacts: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def read_details(client: MlflowClient, name: str) -> tuple[RecordedStudy, TrialDetails]:
    """The trial that STUDY:TRIAL, STUDY:best or a run's id names, with its study. Raises InputError."""
    _, run = find_run(client, name)
    study, number = find_study(client, run.data.tags["tailor.study"]), run.data.tags["tailor.trial"]
    if study is None:
        raise InputError(f"RUN: the study {run.data.tags['tailor.study']!r} of {name!r} is not in the store.")
    attempts = sorted(study.search_attempts(f"tags.`tailor.trial` = '{number}'"), key=lambda one: one.attempt)
    if not attempts or run.info.run_id not in {one.run_id for one in attempts}:
        raise InputError(f"RUN: expected a trial of a search, got {name!r}; give {study.name}:TRIAL.")
    newest = attempts[-1]
    files = [file.path for file in client.list_artifacts(newest.run_id)]
    described = _load(client, newest.run_id, "trial.json", files)
    metric = study.goal.first.metric
    history = client.get_metric_history(newest.run_id, metric) if metric in EPOCH_METRICS else []
    return study, TrialDetails(
        study=study.name,
        trial=newest.trial,
        run_id=newest.run_id,
        status=newest.status,
        reason=newest.reason,
        place=find_place(_load(client, newest.run_id, TRACEBACK, files)),
        metric=metric,
        values={key: value for key, value in newest.metrics.items() if key not in EPOCH_METRICS},
        params=newest.params,
        training={k: v for k, v in flatten(json.loads(described or "{}").get("values", {})).items() if k not in newest.params},
        first_epoch=min((one.step for one in history), default=1),
        curve=[value for _, value in sorted({one.step: one.value for one in history}.items())],
        attempts=attempts if len(attempts) == 1 else [*count_epochs(attempts, continues(study.read_spec()))],
        artifacts=files,
    )


def count_epochs(attempts: Sequence[RecordedAttempt], continued: bool = False) -> Iterator[RecordedAttempt]:
    """The attempts at a trial, oldest first; a lost one with all epochs that the next one went on from, unwritten ones too.

    `continued`: trials of the study may continue other trials' weights.
    """
    reached = 0
    for one, after in pairwise(attempts):
        begun = one.epoch - one.epochs if one.epoch else reached
        resumed = after.epoch - after.epochs
        known = one.epoch or reached  # else it may have begun with another trial's epochs
        epochs = max(one.epochs, resumed - begun) if one.status == "lost" and (known or not continued) else one.epochs
        reached = begun + epochs
        yield replace(one, epochs=epochs)
    yield from attempts[-1:]


def draw_sparkline(values: Sequence[float], width: int = WIDEST) -> str:
    """The curve as bars from its lowest to its highest value, at most `width`; an empty text for fewer than two finite values."""
    finite = [value for value in values if abs(value) < float("inf")]
    if len(finite) < 2:
        return ""
    low, high, count = min(finite), max(finite), min(width, len(finite))
    picked = [finite[round(place * (len(finite) - 1) / (count - 1))] for place in range(count)]
    return "".join(BARS[round((value - low) / ((high - low) or 1.0) * (len(BARS) - 1))] for value in picked)


def find_place(traceback: str) -> str:
    """The file and line of the last frame of a traceback that is the user's own; empty if there is none."""
    frames = re.findall(r'^\s*File "(.+?)", line (\d+)', traceback, re.MULTILINE)
    own = [frame for frame in frames if is_own(Path(frame[0]))]
    return f"{own[-1][0]}:{own[-1][1]}" if own else ""


def _load(client: MlflowClient, run_id: str, file: str, files: Sequence[str]) -> str:
    """A text of a run; empty if it has none."""
    if file not in files:
        return ""
    try:
        return load_text(f"{client.get_run(run_id).info.artifact_uri}/{file}")
    except (MlflowException, OSError):
        return ""
