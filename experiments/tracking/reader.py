"""What Tailor reads by MLflow's client: studies by name, and a study's attempts."""

from __future__ import annotations

import json
import logging
import os
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment, Run, RunTag, ViewType

from ...search.errors import suggest
from ...search.study.goal import EPOCH_METRICS
from ...search.study.load import build_recorded
from ...search.study.spec import StudySpec
from ..errors import InputError, write_command
from ..store import Store, sqlite_address
from ..system.environment import default_variables
from ..system.sorting import count_up
from . import pending
from .entries import RUN_STATUS, end_tags
from .kinds import RANGE_TEST, TRIAL, Kind
from .moved import correct_addresses
from .pages import read_pages
from .recorded import NOTE, REPORT, STUDY_FILE, STUDY_TAG, RecordedAttempt, StudyRecord

OWN = "tags.`tailor.kind` = 'study'"  # MLflow's filter for a study's own run


@dataclass(frozen=True)
class RecordedStudy(StudyRecord):
    """A study that is read and changed by MLflow's client."""

    client: MlflowClient

    @classmethod
    def of(cls, client: MlflowClient, run: Run) -> RecordedStudy:
        """The study of its own run."""
        info = run.info
        return cls(info.experiment_id, info.run_id, info.status, info.end_time, run.data.tags, client)

    def refresh(self) -> RecordedStudy:
        """The study with its run as it is now."""
        return self.of(self.client, self.client.get_run(self.run_id))

    def read_spec(self) -> StudySpec:
        with tempfile.TemporaryDirectory() as folder:
            return build_recorded(
                json.loads(Path(self.client.download_artifacts(self.run_id, STUDY_FILE, folder)).read_text(encoding="utf-8"))
            )

    def read_attempts(self, kind: Kind = TRIAL) -> list[RecordedAttempt]:
        return list(self.search_attempts(kind=kind))

    def read_trials(self, run_ids: Iterable[str]) -> list[RecordedAttempt]:
        ids = ", ".join(f"'{run_id}'" for run_id in run_ids)
        return list(self.search_attempts(f"attributes.run_id IN ({ids})"))

    def search_attempts(
        self, wanted: str = "", order: str = "start_time ASC", page: int | None = None, kind: Kind = TRIAL
    ) -> Iterator[RecordedAttempt]:
        """The attempts that match MLflow's filter, in its order, fetched a page at a time as they are asked for."""
        wanted = " AND ".join(filter(None, [f"tags.`tailor.kind` = '{kind.name}'", wanted]))
        runs = read_pages(self.client.search_runs, [self.experiment_id], wanted, page=page, order_by=[order])
        return (RecordedAttempt.read(run, kind) for run in runs)

    def list_deleted(self) -> set[int]:
        wanted = "tags.`tailor.kind` = 'trial'"
        runs = read_pages(self.client.search_runs, [self.experiment_id], wanted, run_view_type=ViewType.DELETED_ONLY)
        return {int(run.data.tags[TRIAL.tag]) for run in runs}

    def close_attempt(self, attempt: RecordedAttempt, status: str, reason: str) -> RecordedAttempt:
        """End, at its last sign of life, the run of an attempt that no process writes any more. Returns the attempt as it is."""
        note = self.client.get_run(attempt.run_id).data.tags.get(NOTE, "").replace(": running", f": {status}", 1)
        tags = [RunTag(name, value) for name, value in {**end_tags(status, reason), NOTE: note}.items()]
        self.client.log_batch(attempt.run_id, tags=tags)
        self.client.set_terminated(attempt.run_id, RUN_STATUS[status], self._find_last_sign(attempt))
        return replace(attempt, status=status, run_status=RUN_STATUS[status], reason=reason)

    def _find_last_sign(self, attempt: RecordedAttempt) -> int:
        """When its last epoch was recorded, in milliseconds since 1970; when it began, if none was."""
        key = next((key for key in EPOCH_METRICS if key in attempt.metrics), None)  # an epoch's are written together
        history = [] if key is None else self.client.get_metric_history(attempt.run_id, key)
        return max([attempt.start, *(one.timestamp for one in history)])

    def has_report(self) -> bool:
        return any(file.path == REPORT for file in self.client.list_artifacts(self.run_id))

    def record_once(self, tag: str, value: str) -> str:
        """Decide something once for a study: returns the tag's value if it has one; otherwise writes and returns this one."""
        tags = self.client.get_run(self.run_id).data.tags
        if tag not in tags:
            self.client.set_tag(self.run_id, tag, value)
        return tags.get(tag, value)


def open_client(store: Store) -> MlflowClient:
    """A client on the store, by an absolute address. MLflow's log lines about migrations stay off the screen.

    Corrects a local store's records if it was moved. Raises InputError if it cannot.
    """
    if store.local and store.exists:
        correct_addresses(store)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it prints a traceback of each error that it raises
    return _WaitingClient(tracking_uri=store.tracking_uri, registry_uri=store.tracking_uri)


def open_recorded(store: Store) -> MlflowClient:
    """A client on a store in which a study was recorded. Raises InputError, as Python names the store, if none was."""
    if not store.exists:
        raise InputError(f"store: there is no study in {store.place} yet; search one first, or name another.")
    return open_client(store)


class _WaitingClient(MlflowClient):
    """Waits until MLflow has the data, even if MLFLOW_ENABLE_ASYNC_LOGGING is set: otherwise its refusals would be lost."""

    def log_batch(self, *arguments: Any, **named: Any) -> Any:
        return super().log_batch(*arguments, **{**named, "synchronous": True})

    def set_terminated(self, *arguments: Any, **named: Any) -> None:
        with default_variables({"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}):  # it prints two lines a run of a server's
            super().set_terminated(*arguments, **named)

    def set_tag(self, *arguments: Any, **named: Any) -> Any:
        return super().set_tag(*arguments, **{**named, "synchronous": True})


@contextmanager
def prepare_database(store: Store) -> Iterator[Callable[[], None]]:
    """Make MLflow's tables (seconds of migrations) beside the store, while workers load; the yielded call puts them in place.

    A search that fails before that call leaves nothing behind.
    """
    place = store.database
    if place is None or store.exists:
        yield lambda: None
        return
    with tempfile.TemporaryDirectory(prefix="tailor-") as draft:
        path = Path(draft) / "mlflow.db"
        open_client(replace(store, tracking_uri=sqlite_address(path))).search_experiments(max_results=1)
        yield lambda: store.adopt_database(path, place)


def find_study(client: MlflowClient, name: str) -> RecordedStudy | None:
    """The study of that name, or None.

    Raises InputError, which says how to undo it, if its experiment was deleted or renamed in MLflow, or its run deleted.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        _check_renamed(client, name)
        return None
    if experiment.lifecycle_stage != "active":
        raise InputError(
            f"study {name!r} was deleted in MLflow, which keeps its name. Take another name, remove the rest with "
            f"{write_command('delete', name)}, "
            f'or restore it: eval "$(tailor env)", then mlflow experiments restore -x {experiment.experiment_id}.'
        )
    if (found := _read_study(client, experiment)) is None:
        _check_run_deleted(client, experiment)
    return found


def find_studies(client: MlflowClient) -> list[RecordedStudy]:
    """The studies in the store, by name, as people count: small-2 before small-10."""
    experiments = sorted(read_pages(client.search_experiments), key=lambda one: count_up(one.name))
    return [study for one in experiments if (study := _read_study(client, one)) is not None]


def _read_study(client: MlflowClient, experiment: Experiment) -> RecordedStudy | None:
    runs = client.search_runs([experiment.experiment_id], OWN, max_results=1)
    return RecordedStudy.of(client, runs[0]) if runs else None


def _check_run_deleted(client: MlflowClient, experiment: Experiment) -> None:
    """Raise InputError if the experiment holds a study whose own run was deleted."""
    for run in client.search_runs([experiment.experiment_id], OWN, ViewType.DELETED_ONLY, max_results=1):
        pending.refuse(experiment)
        name = run.data.tags[STUDY_TAG]
        refuse_renamed(experiment, name)
        raise InputError(
            f"the run of study {name!r} was deleted in MLflow. Delete the rest with {write_command('delete', name)}, "
            f'or restore it: eval "$(tailor env)", then mlflow runs restore --run-id {run.info.run_id}.'
        )


def find_named(client: MlflowClient, name: str) -> RecordedStudy | None:
    """As `find_study`, for what changes the study: also raises InputError if that is the name of its experiment alone.

    Not while a renaming that was cut off has renamed the run, and not the experiment yet.
    """
    found = find_study(client, name)
    if found is not None:
        refuse_renamed(client.get_experiment(found.experiment_id), found.name)
    return found


def refuse_renamed(experiment: Experiment, study: str) -> None:
    """Raise InputError if the experiment of a study has another name than the study: a person renamed it, in MLflow."""
    if experiment.name == study or experiment.tags.get(pending.PENDING):
        return
    number, restore = experiment.experiment_id, ""
    if experiment.lifecycle_stage != "active":  # MLflow renames no experiment that is deleted
        restore = f"mlflow experiments restore -x {number}, then "
    raise InputError(
        f"study {study!r}: its experiment was renamed to {experiment.name!r} in MLflow. Rename it back: "
        f'eval "$(tailor env)", then {restore}mlflow experiments rename -x {number} --new-name {shlex.quote(study)}.'
    )


def _check_renamed(client: MlflowClient, name: str) -> None:
    """Raise InputError if a study of that name is in an experiment of another name."""
    others = {experiment.experiment_id: experiment for experiment in read_pages(client.search_experiments)}
    for run in read_pages(client.search_runs, list(others), OWN, run_view_type=ViewType.ALL):
        if run.data.tags.get(STUDY_TAG) == name:
            experiment = others[run.info.experiment_id]
            pending.refuse(experiment)
            refuse_renamed(experiment, name)


def no_study(field: str, name: str, client: MlflowClient | None) -> InputError:
    """The error for a study that is not in the store; lists those there are (none if there is no client)."""
    experiment = None if client is None else client.get_experiment_by_name(name)
    tested = f"tags.`tailor.kind` = '{RANGE_TEST}'"
    if client is not None and experiment is not None and client.search_runs([experiment.experiment_id], tested, max_results=1):
        return InputError(f"{field}: {name!r} was not searched yet: its experiment in MLflow holds learning-rate tests alone.")
    names = [] if client is None else [study.name for study in find_studies(client)]
    hint = suggest(name, names)
    return InputError(f"{field}: there is no study {name!r} in the store; there are: {', '.join(names) or 'none yet'}.{hint}")
