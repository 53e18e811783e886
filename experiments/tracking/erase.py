"""Erases runs, logged models and experiments: their files first, then their rows, so that a repeated call finishes a cut-off one.

MLflow's API only marks them as deleted. Their rows go by what `mlflow gc` calls (3.16), which is private. A server does
not offer it: its administrator's `mlflow gc` removes the rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import Experiment, LoggedModel, Run, ViewType
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from .pages import read_pages

ACTIVE = "active"


class Eraser:
    """Erases what a client's tracking server or database holds."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._database: Any = None
        if removes_rows(client):
            from mlflow.tracking._tracking_service.utils import _get_store

            self._database = _get_store(client.tracking_uri)

    def list_runs(self, experiment_id: str) -> list[Run]:
        """Every run of an experiment, those that are marked as deleted too."""
        return list(read_pages(self._client.search_runs, [experiment_id], run_view_type=ViewType.ALL))

    def list_models(self, experiment_id: str) -> list[LoggedModel]:
        """Every logged model of an experiment; with a database those that are marked as deleted too."""
        found = list(read_pages(self._client.search_logged_models, [experiment_id]))
        if self._database is not None:
            marked = (self._database.get_logged_model(m, allow_deleted=True) for m in self._database._get_deleted_logged_models())
            found += [model for model in marked if str(model.experiment_id) == experiment_id]
        return found

    def erase_all(self, folders: Iterable[Path], models: Iterable[LoggedModel], runs: Iterable[Run]) -> None:
        """Erase folders, then logged models, then runs."""
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        for model in models:
            self.erase_model(model)
        for run in runs:
            self.erase_run(run)

    def erase_run(self, run: Run) -> None:
        """Erase a run with its artifacts."""
        if run.info.artifact_uri:
            self._erase_files(run.info.artifact_uri)
        if run.info.lifecycle_stage == ACTIVE:
            self._client.delete_run(run.info.run_id)
        if self._database is not None:
            self._database._hard_delete_run(run.info.run_id)

    def erase_model(self, model: LoggedModel, marked: bool = False) -> None:
        """Erase a logged model with its files."""
        self._erase_files(model.artifact_location)
        if self._database is not None:
            self._database._hard_delete_logged_model(model.model_id)
        elif not marked:
            self._client.delete_logged_model(model.model_id)

    def erase_experiment(self, experiment: Experiment) -> None:
        """Erase an experiment whose runs and models are gone. A server keeps its row, which gives the name free."""
        if experiment.lifecycle_stage == ACTIVE:
            if self._database is None:
                aside = f"{experiment.name}-deleted-{experiment.experiment_id}"
                if not experiment.name.endswith(f"-deleted-{experiment.experiment_id}"):
                    self._client.rename_experiment(experiment.experiment_id, aside)
            self._client.delete_experiment(experiment.experiment_id)
        if self._database is not None:
            self._database._hard_delete_experiment(experiment.experiment_id)

    def _erase_files(self, address: str) -> None:
        place = find_place(address)
        if place is None:
            get_artifact_repository(address, tracking_uri=self._client.tracking_uri).delete_artifacts()
        else:
            shutil.rmtree(place, ignore_errors=True)


def removes_rows(client: MlflowClient) -> bool:
    """Whether rows go too, not only files: not from a server."""
    return not client.tracking_uri.startswith(("http://", "https://"))


def find_place(address: str) -> Path | None:
    """The folder, on this disk, of a run's or a model's files; None if they are elsewhere. Both are <folder>/artifacts."""
    if not address.startswith("file://"):
        return None
    return Path(url2pathname(urlsplit(address).path)).parent


def measure(*places: Path) -> int:
    """The bytes of folders and files; 0 for those that are not there."""
    files = [file for place in places for file in (place.rglob("*") if place.is_dir() else [place])]
    return sum(file.lstat().st_size for file in files if file.is_file() or file.is_symlink())
