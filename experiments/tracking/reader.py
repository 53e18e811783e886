"""What stands in MLflow, as it is read: the client on a store, studies by name, their runs and their specs."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from ...search.study.load import build
from ...search.study.spec import StudySpec
from ..errors import InputError
from ..store import Store, sqlite_address
from .moved import correct_addresses

STUDY_FILE, REPORT = "study.json", "report.html"


def open_client(store: Store) -> MlflowClient:
    """A client on the store, by an absolute address. MLflow's chatter of migrations stays off the screen.

    A local store's records are corrected if it was moved. Raises InputError if they cannot be.
    """
    if store.local and store.exists:
        correct_addresses(store)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it prints a traceback of what it raises
    return MlflowClient(tracking_uri=store.tracking_uri, registry_uri=store.tracking_uri)


@contextmanager
def new_database(store: Store) -> Iterator[Callable[[], None]]:
    """Make MLflow's tables (seconds of migrations) beside the store, while workers load; the yielded call puts them in place.

    A search that turns out to be wrong before that leaves nothing behind.
    """
    if not store.local or store.exists:
        yield lambda: None
        return
    with tempfile.TemporaryDirectory(prefix="tailor-") as draft:
        path = Path(draft) / "mlflow.db"
        open_client(replace(store, tracking_uri=sqlite_address(path))).search_experiments(max_results=1)
        yield lambda: store.adopt_database(path)


def find_study(client: MlflowClient, name: str) -> tuple[str, Run] | None:
    """A study's experiment id and run, or None if there is none of that name.

    Raises InputError if its experiment was deleted or renamed in MLflow, with how to undo that.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        _check_renamed(client, name)
        return None
    if experiment.lifecycle_stage != "active":
        raise InputError(
            f"study {name!r} was deleted in MLflow, which keeps its name. Take another --name, or restore it: "
            f'eval "$(tailor env)", then mlflow experiments restore -x {experiment.experiment_id}.'
        )
    runs = client.search_runs([experiment.experiment_id], "tags.`tailor.kind` = 'study'", max_results=1)
    return (experiment.experiment_id, runs[0]) if runs else None


def _check_renamed(client: MlflowClient, name: str) -> None:
    """Raise InputError if a study of that name lies under an experiment of another name."""
    others = {e.experiment_id: e.name for e in client.search_experiments(max_results=1000)}
    for run in client.search_runs(list(others), "tags.`tailor.kind` = 'study'", max_results=1000):
        if run.data.tags.get("tailor.study") == name:
            number = run.info.experiment_id
            raise InputError(
                f"study {name!r}: its experiment was renamed to {others[number]!r} in MLflow. Rename it back: "
                f'eval "$(tailor env)", then mlflow experiments rename -x {number} --new-name {name}.'
            )


def study_names(client: MlflowClient) -> list[str]:
    """The names of the studies in the store."""
    experiments = client.search_experiments(max_results=1000)
    return sorted(e.name for e in experiments if find_study(client, e.name) is not None)


def recorded_spec(client: MlflowClient, study_run: Run) -> StudySpec:
    """The spec that a study's run was last started with."""
    with tempfile.TemporaryDirectory() as folder:
        return build(
            json.loads(Path(client.download_artifacts(study_run.info.run_id, STUDY_FILE, folder)).read_text(encoding="utf-8"))
        )


def state_of(study_run: Run) -> str:
    """How a study stands, from its run: running, or how its last session ended."""
    if study_run.info.status == "RUNNING":
        return "running"
    return study_run.data.tags.get("tailor.ended", "its search was killed; the same `tailor search` goes on with it")


def trial_runs(client: MlflowClient, experiment_id: str) -> list[Run]:
    """Every attempt's run of a study, oldest first."""
    runs, token = [], None
    while True:
        page = client.search_runs(
            [experiment_id], "tags.`tailor.kind` = 'trial'", max_results=1000, order_by=["start_time ASC"], page_token=token
        )
        runs += page
        if not (token := page.token):
            return runs
