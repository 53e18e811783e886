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
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from ...search.study.load import build
from ...search.study.spec import StudySpec
from ..store import Store

STUDY_FILE, REPORT = "study.json", "report.html"


def open_client(store: Store) -> MlflowClient:
    """A client on the store, by an absolute address. MLflow's chatter of migrations stays off the screen."""
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)  # it prints a traceback of what it raises
    return _WaitingClient(tracking_uri=store.tracking_uri, registry_uri=store.tracking_uri)


class _WaitingClient(MlflowClient):
    """Returns when MLflow has what was written, whatever MLFLOW_ENABLE_ASYNC_LOGGING says: else nobody sees what it refuses."""

    def log_batch(self, *arguments: Any, **named: Any) -> Any:
        return super().log_batch(*arguments, **{**named, "synchronous": True})

    def set_tag(self, *arguments: Any, **named: Any) -> Any:
        return super().set_tag(*arguments, **{**named, "synchronous": True})


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
        open_client(replace(store, tracking_uri=f"sqlite:///{path}")).search_experiments(max_results=1)
        yield lambda: store.adopt_database(path)


def find_study(client: MlflowClient, name: str) -> tuple[str, Run] | None:
    """A study's experiment id and run, or None where there is none of that name."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage != "active":
        return None
    runs = client.search_runs([experiment.experiment_id], "tags.`tailor.kind` = 'study'", max_results=1)
    return (experiment.experiment_id, runs[0]) if runs else None


def study_names(client: MlflowClient) -> list[str]:
    """The names of the studies in the store."""
    experiments = client.search_experiments(max_results=1000)
    return sorted(e.name for e in experiments if find_study(client, e.name) is not None)


def recorded_spec(client: MlflowClient, study_run: Run) -> StudySpec:
    """The spec that a study's run was last started with."""
    with tempfile.TemporaryDirectory() as folder:
        return build(json.loads(Path(client.download_artifacts(study_run.info.run_id, STUDY_FILE, folder)).read_text()))


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
