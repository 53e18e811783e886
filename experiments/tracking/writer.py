"""Writes entries to MLflow, one at a time. Written a second time, after a failure half-way, an entry changes nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import sqlalchemy.exc
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from . import model_files
from .spool import Entry

MODEL_NAME = "model"
CONNECTION = (OSError, sqlalchemy.exc.OperationalError, sqlalchemy.exc.InterfaceError, sqlalchemy.exc.PendingRollbackError)
UNWELL = ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED")


def is_away(error: Exception) -> bool:
    """Whether MLflow could not be reached or could not write (no connection, a locked or full database, a full disk).

    What it refuses, an invalid name say, is something else: trying again would not help.
    """
    if isinstance(error, MlflowException) and error.error_code in UNWELL:
        return True
    # What MLflow lets through, or wraps as a bad request: requests' errors (they are OSErrors), and a database's that is gone.
    return isinstance(error, CONNECTION) or isinstance(error.__cause__, CONNECTION)


class Writer:
    """Writes one study's entries. Attempts are found by their tags, so that an entry needs to know no run's id."""

    def __init__(self, client: MlflowClient, experiment_id: str, study_run: str) -> None:
        self._client = client
        self._experiment_id = experiment_id
        self._study_run = study_run
        self._runs: dict[tuple[int, int], str] = {}
        self._kinds: Mapping[str, Callable[[Entry, str], None]] = {
            "metrics": self._metrics,
            "end": self._end,
            "model": self._model,
            "drop": self._drop,
        }

    def write(self, entry: Entry, again: bool) -> None:
        """Write an entry; `again` says that it may have been begun before. Raises what `is_away` tells apart."""
        if entry.kind == "start":
            self._start(entry, again)
            return
        run_id = self._study_run if entry.attempt is None else self._run_of(entry.attempt)
        if run_id is None:
            raise MlflowException(f"attempt {entry.attempt} has no run; was it deleted?", RESOURCE_DOES_NOT_EXIST)
        self._kinds[entry.kind](entry, run_id)

    def models(self) -> dict[int, list[LoggedModel]]:
        """The models that are logged now, by trial, half-logged ones too."""
        found: dict[int, list[LoggedModel]] = {}
        for model in self._client.search_logged_models([self._experiment_id], max_results=1000):
            if "tailor.trial" in model.tags:
                found.setdefault(int(model.tags["tailor.trial"]), []).append(model)
        return found

    def _run_of(self, attempt: tuple[int, int]) -> str | None:
        if attempt not in self._runs:
            trial, number = attempt
            wanted = f"tags.`tailor.trial` = '{trial}' AND tags.`tailor.attempt` = '{number}'"
            for run in self._client.search_runs([self._experiment_id], wanted, max_results=1):
                self._runs[attempt] = run.info.run_id
        return self._runs.get(attempt)

    def _start(self, entry: Entry, again: bool) -> None:
        assert entry.attempt is not None
        fields = entry.fields
        run_id = self._run_of(entry.attempt) if again else None
        if run_id is None:
            made = self._client.create_run(self._experiment_id, fields["time"], fields["tags"], fields["name"])
            run_id = self._runs[entry.attempt] = made.info.run_id
        self._client.log_batch(run_id, params=[Param(name, value) for name, value in fields["params"].items()])

    def _metrics(self, entry: Entry, run_id: str) -> None:
        # MLflow keeps one of several metrics that agree in name, value, time and step.
        tags = [RunTag(name, value) for name, value in entry.fields.get("tags", {}).items()]
        self._client.log_batch(run_id, metrics=[Metric(*metric) for metric in entry.fields["metrics"]], tags=tags)

    def _end(self, entry: Entry, run_id: str) -> None:
        if entry.files:
            with tempfile.TemporaryDirectory() as folder:
                for name, data in entry.files.items():
                    (Path(folder) / name).write_bytes(data)
                self._client.log_artifacts(run_id, folder)
        self._client.log_batch(run_id, tags=[RunTag(name, value) for name, value in entry.fields["tags"].items()])
        self._client.set_terminated(run_id, entry.fields["status"], entry.fields["time"])

    def _model(self, entry: Entry, run_id: str) -> None:
        fields = entry.fields
        trial = int(fields["tags"]["tailor.trial"])
        for before in self.models().get(trial, []):
            if before.status == LoggedModelStatus.READY and before.source_run_id == run_id:
                return
            self._delete(before)  # cut off half-way, or of an attempt that was lost
        logged = self._client.create_logged_model(
            self._experiment_id, MODEL_NAME, run_id, tags=fields["tags"], model_type="keras"
        )
        with tempfile.TemporaryDirectory() as draft:
            folder = Path(draft) / "model"
            folder.mkdir()
            source = None
            if fields["source"] is not None:
                source = Path(draft) / fields["source"]
                source.write_bytes(entry.files[fields["source"]])
            model = model_files.ModelFile(entry.files["model.keras"], tuple(fields["shape"]), fields["classes"], source)
            model_files.write(model, folder, logged.model_id, {"labels.json": entry.files["labels.json"].decode()})
            self._client.log_model_artifacts(logged.model_id, str(folder))
        self._client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, fields["step"])])
        self._client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)

    def _drop(self, entry: Entry, run_id: str) -> None:
        for model in self.models().get(entry.fields["trial"], []):
            if not self._client.search_model_versions(f"source_path = 'models:/{model.model_id}'", max_results=1):
                self._delete(model)

    def _delete(self, model: LoggedModel) -> None:
        """Delete a logged model, from this disk too: MLflow only marks it."""
        self._client.delete_logged_model(model.model_id)
        if model.artifact_location.startswith("file://"):  # <experiment>/models/<model id>/artifacts
            shutil.rmtree(Path(url2pathname(urlsplit(model.artifact_location).path)).parent, ignore_errors=True)
