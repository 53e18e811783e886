"""A study and its attempts as MLflow's runs hold them: plain data, that needs no MLflow to be looked at."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ...search.study.goal import Constraint, Goal, Objective
from .kinds import TRIAL, Kind

if TYPE_CHECKING:
    from mlflow.entities import Run, RunInfo

    from ...search.study.spec import StudySpec

STUDY_FILE, REPORT = "study.json", "report.html"
SCORE = "objective"  # the metric that holds what a leaderboard shows: of a trial that did not complete not its best, but its last
ORDER = "tailor.order"  # of a trial's run: a text that sorts as the leaderboard does, in MLflow's pages
NOTE = "mlflow.note.content"  # a run's description, as MLflow names its tag
EPOCHS = "tailor.epochs"
EPOCH = "tailor.epoch"
STUDY_TAG = "tailor.study"  # of every run: the study's name
PRECISION = "tailor.precision"  # of a study's run and its trials': what they train in
DEFAULTS = "tailor.defaults"  # of a study's run: what holds where the study names nothing, as JSON
PROMOTABLE = "tailor.promotable"  # of a study's run: yes or no
DELETED = "deleted, except for what"  # begins the state of a deleted study of which registered versions need something


@dataclass(frozen=True)
class Info:
    """What is read of MLflow's RunInfo, under its names."""

    run_id: str
    run_name: str
    status: str
    start_time: int
    end_time: int | None


@dataclass(frozen=True)
class RecordedAttempt:
    """An attempt at a trial (or candidate, by its number), as its run records it.

    `status` is Tailor's (running, complete, pruned, failed, stopped, lost), `run_status` MLflow's; `epochs` counts those
    that the attempt trained itself, and `epoch` is the trial's newest, which an earlier attempt may have reached; `start` and
    `end` are milliseconds since 1970.
    """

    trial: int
    attempt: int
    run_id: str
    run_name: str
    run_status: str
    status: str
    reason: str
    epochs: int
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    start: int
    end: int | None
    epoch: int = 0

    @classmethod
    def read(cls, run: Run, kind: Kind = TRIAL) -> RecordedAttempt:
        return cls.make(run.info, run.data.tags, run.data.params, run.data.metrics, kind)

    @classmethod
    def make(
        cls,
        info: Info | RunInfo,
        tags: Mapping[str, str],
        params: Mapping[str, str],
        metrics: Mapping[str, float],
        kind: Kind = TRIAL,
    ) -> RecordedAttempt:
        """The attempt that a run with these tags, parameters and metrics records."""
        return cls(
            trial=int(tags[kind.tag]),
            attempt=int(tags["tailor.attempt"]),
            run_id=info.run_id,
            run_name=info.run_name,
            run_status=info.status,
            status=tags.get("tailor.status", "running"),
            reason=tags.get("tailor.status_reason", ""),
            epochs=int(tags.get(EPOCHS, "0")),
            params=dict(params),
            metrics={name: value for name, value in metrics.items() if name != SCORE},
            start=info.start_time,
            end=info.end_time,
            epoch=int(tags.get(EPOCH, tags.get(EPOCHS, "0"))),
        )


@dataclass(frozen=True)
class StudyRecord(ABC):
    """A study by its own run as it was when Tailor read it: `run_status` is MLflow's, `end` milliseconds since 1970."""

    experiment_id: str
    run_id: str
    run_status: str
    end: int | None
    tags: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.tags[STUDY_TAG]

    @property
    def running(self) -> bool:
        """Whether a search runs it, or was killed while it ran it."""
        return self.run_status == "RUNNING"

    @property
    def word(self) -> str:
        """The state in one word: running, finished, stopped, failed or deleted."""
        if self.tags.get("tailor.ended", "").startswith(DELETED):
            return "deleted"
        return {"KILLED": "stopped"}.get(self.run_status, self.run_status.lower())

    @property
    def state(self) -> str:
        """The study's state: running, or how its last session ended."""
        if self.running:
            return "running"
        return self.tags.get("tailor.ended", "its search was killed; the same `tailor search` resumes it")

    @property
    def promotable(self) -> bool:
        """Whether its models can be promoted, as far as one build of them showed."""
        return self.tags.get(PROMOTABLE) != "no"

    @cached_property
    def goal(self) -> Goal:
        """The objectives and constraints in the tags of the study's run."""
        more = json.loads(self.tags.get("tailor.goal", "{}"))
        first = Objective(self.tags["tailor.objective"], self.tags["tailor.direction"])  # type: ignore[arg-type]
        others = tuple(Objective(*pair) for pair in more.get("others", ()))
        return Goal((first, *others), tuple(map(Constraint.parse, more.get("constraints", ()))))

    @abstractmethod
    def read_spec(self) -> StudySpec:
        """The spec of the study's last start."""

    @abstractmethod
    def read_attempts(self, kind: Kind = TRIAL) -> list[RecordedAttempt]:
        """Every attempt of that kind, oldest first."""

    @abstractmethod
    def read_trials(self, run_ids: Iterable[str]) -> list[RecordedAttempt]:
        """The attempts at trials whose runs have these ids, oldest first."""

    @abstractmethod
    def list_deleted(self) -> set[int]:
        """The trials of which a run was deleted in MLflow; others of their runs may be left."""
