"""Writes entries to MLflow, one at a time. To write an entry again, after a failure half-way, does no harm."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from . import model_files
from .data_set import log_data
from .entries import NEWEST, Attempt, BeginAttempt, DropModel, EndRun, Entry, LogMetrics, LogModel
from .erase import ACTIVE
from .kinds import TRIAL, Kind
from .outage import is_away, refuses_request
from .pages import read_pages
from .reader import RecordedStudy
from .recorded import STUDY_TAG

MODEL_NAME = "model"
MISSING = "RESOURCE_DOES_NOT_EXIST"


class Writer:
    """Writes one study's entries. It finds attempts by their tags, so an entry needs no run's id."""

    def __init__(self, study: RecordedStudy, kind: Kind = TRIAL) -> None:
        self._kind = kind
        self._client = study.client
        self._experiment_id = study.experiment_id
        self._study_run, self._study_name = study.run_id, study.name
        self._runs: dict[Attempt, str] = {}

    def write(self, entry: Entry, again: bool) -> None:
        """Write an entry; `again`: an earlier try may have written a part. Raises errors that `is_away` classifies."""
        if isinstance(entry, BeginAttempt):
            self._begin(entry, again)
            return
        run_id = self._study_run if entry.attempt is None else self._find_run(entry.attempt)
        if run_id is None:
            raise MlflowException(f"attempt {entry.attempt} has no run; was it deleted?", RESOURCE_DOES_NOT_EXIST)
        if isinstance(entry, LogModel) and not self._is_active(run_id):  # MLflow refuses only once the model lies there half
            raise MlflowException(f"run {run_id} was deleted", RESOURCE_DOES_NOT_EXIST)
        match entry:
            case LogMetrics():
                self._log_metrics(entry, run_id)
            case EndRun():
                self._end(entry, run_id)
            case LogModel():
                self._log_model(entry, run_id)
            case DropModel():
                self._drop_model(entry)

    def has_run(self, attempt: Attempt) -> bool:
        """Whether an attempt's run is there, not deleted."""
        run_id = self._find_run(attempt)
        return run_id is not None and self._is_active(run_id)

    def may_write(self) -> bool:
        """Whether MLflow takes a write of these credentials at all: a tag of the study's run, as it is already."""
        try:
            self._client.set_tag(self._study_run, STUDY_TAG, self._study_name)
        except Exception as error:
            return not (is_away(error) or refuses_request(error))
        return True

    def find_models(self) -> dict[int, list[LoggedModel]]:
        """The logged models by the numbers of their attempts, half-logged ones too."""
        found: dict[int, list[LoggedModel]] = {}
        for model in read_pages(self._client.search_logged_models, [self._experiment_id]):
            if self._kind.tag in model.tags:
                found.setdefault(int(model.tags[self._kind.tag]), []).append(model)
        return found

    def _is_active(self, run_id: str) -> bool:
        try:
            return bool(self._client.get_run(run_id).info.lifecycle_stage == ACTIVE)
        except MlflowException as error:
            if error.error_code != MISSING:
                raise
            return False  # the deleted run was removed for good

    def _find_run(self, attempt: Attempt) -> str | None:
        if attempt not in self._runs:
            trial, number = attempt
            kind = self._kind
            wanted = (
                f"tags.`tailor.kind` = '{kind.name}' AND tags.`{kind.tag}` = '{trial}' AND tags.`tailor.attempt` = '{number}'"
            )
            for run in self._client.search_runs([self._experiment_id], wanted, max_results=1):
                self._runs[attempt] = run.info.run_id
        return self._runs.get(attempt)

    def _begin(self, entry: BeginAttempt, again: bool) -> None:
        run_id = self._find_run(entry.attempt) if again else None
        if run_id is None:
            made = self._client.create_run(self._experiment_id, entry.time, {**entry.tags, NEWEST: "yes"}, entry.name)
            run_id = self._runs[entry.attempt] = made.info.run_id
        if entry.attempt[1] > 1:
            self._set_earlier_apart(entry)
        if entry.data:
            log_data(self._client, run_id, entry.data)
        self._client.log_batch(run_id, params=[Param(name, value) for name, value in entry.params.items()])

    def _set_earlier_apart(self, entry: BeginAttempt) -> None:
        """Mark a trial's earlier attempts, which the prepared view leaves out, and give them names of their own."""
        trial, number = entry.attempt
        wanted = f"tags.`tailor.kind` = '{self._kind.name}' AND tags.`{self._kind.tag}` = '{trial}'"
        for run in read_pages(self._client.search_runs, [self._experiment_id], wanted):
            earlier = int(run.data.tags["tailor.attempt"])
            if earlier < number:
                self._client.set_tag(run.info.run_id, NEWEST, "no")
                self._client.update_run(run.info.run_id, name=self._kind.name_run(trial, earlier))

    def _log_metrics(self, entry: LogMetrics, run_id: str) -> None:
        # MLflow keeps one of several metrics that agree in name, value, time and step.
        self._client.log_batch(run_id, metrics=[Metric(*metric) for metric in entry.metrics], tags=_to_tags(entry.tags))

    def _end(self, entry: EndRun, run_id: str) -> None:
        if entry.files:
            with tempfile.TemporaryDirectory() as folder:
                for name, data in entry.files.items():
                    (Path(folder) / name).write_bytes(data)
                self._client.log_artifacts(run_id, folder)
        self._client.log_batch(run_id, tags=_to_tags(entry.tags))
        self._client.set_terminated(run_id, entry.status, entry.time)

    def _log_model(self, entry: LogModel, run_id: str) -> None:
        for before in self.find_models().get(entry.trial, []):
            if before.status == LoggedModelStatus.READY and before.source_run_id == run_id:
                return
            self._delete(before)  # cut off half-way, or from a lost attempt
        log_model(self._client, self._experiment_id, run_id, entry)

    def _drop_model(self, entry: DropModel) -> None:
        for model in self.find_models().get(entry.trial, []):
            if not self._client.search_model_versions(f"source_path = 'models:/{model.model_id}'", max_results=1):
                self._delete(model)

    def _delete(self, model: LoggedModel) -> None:
        """Delete a logged model, from this disk too: MLflow only marks it."""
        self._client.delete_logged_model(model.model_id)
        if model.artifact_location.startswith("file://"):  # <experiment>/models/<model id>/artifacts
            shutil.rmtree(Path(url2pathname(urlsplit(model.artifact_location).path)).parent, ignore_errors=True)


def log_model(client: MlflowClient, experiment_id: str, run_id: str, entry: LogModel) -> str:
    """Log a model with its files as an output of a run; returns the logged model's id."""
    logged = client.create_logged_model(experiment_id, MODEL_NAME, run_id, tags=dict(entry.tags), model_type="keras")
    with tempfile.TemporaryDirectory() as draft:
        folder = Path(draft) / "model"
        folder.mkdir()
        source = None
        if entry.source is not None:
            source = Path(draft) / entry.source
            source.write_bytes(entry.files[entry.source])
        model = model_files.ModelFile(entry.files["model.keras"], entry.shape, entry.classes, source)
        model_files.write(model, folder, logged.model_id, {"labels.json": entry.files["labels.json"].decode()})
        for name in entry.files.keys() - {"model.keras", "labels.json", entry.source}:
            (folder / name).write_bytes(entry.files[name])
        client.log_model_artifacts(logged.model_id, str(folder))
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, entry.step)])
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    return str(logged.model_id)


def _to_tags(tags: Mapping[str, str]) -> list[RunTag]:
    return [RunTag(name, value) for name, value in tags.items()]
