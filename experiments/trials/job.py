"""What the coordinator and a worker send each other: a trial's job, its reports and its result, as plain data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ...search.engines.protocol import Suggestion
from ...search.study.spec import StudySpec
from ..datasets.splits import DataHandle
from .filters import Filters
from .metrics import Evaluation

Status = Literal["complete", "pruned", "failed", "stopped"]


@dataclass(frozen=True)
class TrialJob:
    """Everything that a worker needs for one attempt at a trial. `values` holds every option and hyperparameter."""

    study: str
    trial: int
    attempt: int
    model: str
    values: Mapping[str, Any]
    data: DataHandle
    epochs: int
    seed: int
    monitor: str
    maximize: bool
    waits: bool  # whether a report waits for the coordinator's answer (there is a pruner)
    folder: str  # the user's current folder, where a factory's module or file is found
    code: str | None = None  # a copy of the factory's file from the search's start; you may edit the file meanwhile
    losses: Mapping[str, str] = field(default_factory=dict)  # by reference, such copies of the files of custom losses
    in_memory: bool | None = None  # whether the images are held in memory; None: their size decides
    weights: str | None = None  # a .keras file whose weights the model begins with, after `epochs_done` epochs
    epochs_done: int = 0
    last_epoch: int | None = None  # the trial ends after it and keeps its weights, whichever epoch is best
    declared: tuple[str, ...] | None = None  # the values that go to a Keras Tuner model's hp; None for a factory
    saves_to: str | None = None  # the file for this attempt's checkpoints
    resumes: str | None = None  # an earlier attempt's checkpoint, to resume from

    @property
    def key(self) -> str:
        """The attempt's name, always unique in its store."""
        return f"{self.study}-{self.trial}-{self.attempt}"


@dataclass(frozen=True)
class EpochReport:
    """An epoch's metrics, on their way to the coordinator."""

    trial: int
    attempt: int
    epoch: int
    metrics: Mapping[str, float]
    seconds: float
    replayed: bool = False  # from the earlier attempt that this one resumes: already judged


@dataclass(frozen=True)
class TrialResult:
    """How an attempt ended, with all that is recorded of it. `model` is a complete trial's .keras file, as bytes."""

    trial: int
    attempt: int
    status: Status
    reason: str = ""
    traceback: str = ""
    shown: str = ""  # of the traceback, what a screen shows
    history: tuple[Mapping[str, float], ...] = ()
    best_epoch: int = 0
    metrics: Mapping[str, float] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    model: bytes | None = None
    filters: Filters | None = None  # of a complete trial's first layer


def make_job(spec: StudySpec, suggestion: Suggestion, attempt: int, data: DataHandle, precision: str = "auto") -> TrialJob:
    """The job of one attempt at a suggested trial; `precision` replaces "auto". A trial's attempts share one seed."""
    steered = spec.objective.by_epoch
    values = {**spec.training, **suggestion.hparams}
    if values.get("precision", "auto") == "auto":
        values["precision"] = precision
    return TrialJob(
        study=spec.name,
        trial=suggestion.trial,
        attempt=attempt,
        model=spec.model,
        values=values,
        data=data,
        epochs=suggestion.epochs,
        seed=derive_seed(spec.search.seed, suggestion.trial) if suggestion.seed is None else suggestion.seed,
        monitor=spec.objective.metric if steered else "val_loss",
        maximize=spec.objective.direction == "maximize" if steered else False,
        waits=steered and spec.search.pruner.name != "none",
        folder=str(Path.cwd()),
        in_memory=spec.workers.in_memory,
        epochs_done=suggestion.epochs_done,
        last_epoch=suggestion.last_epoch,
        declared=spec.found.declared if spec.compiled else None,
    )


def derive_seed(study_seed: int, number: int, kind: str = "trial") -> int:
    """A 31-bit seed of (study seed, number among its kind)."""
    return int.from_bytes(hashlib.sha256(f"{kind}/{study_seed}/{number}".encode()).digest()[:4], "big") >> 1
