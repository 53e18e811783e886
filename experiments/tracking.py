"""The one place that writes a study to MLflow: its run, a child run for each attempt, metrics live, artifacts and models."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, Metric, Param, Run, RunTag

from experiments import evaluation, figures, links, model_files
from experiments.datasets.splits import Splits
from experiments.recorded import STUDY_FILE, find_study
from experiments.store import Store
from experiments.tags import study_tags
from experiments.trial import EpochReport, TrialJob, TrialResult
from search.spec import StudySpec

FLUSH_SECONDS = 2.0
MODEL_NAME = "model"
EPOCHS = "tailor.epochs"
RUN_STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "stopped": "KILLED", "lost": "KILLED"}


@dataclass
class _Live:
    """A run that is written to, and what waits to be written."""

    run_id: str
    metrics: list[Metric]
    epochs: int = 0  # trained by this attempt


class Tracker:
    """Writes one study. One coordinator owns it."""

    def __init__(self, client: MlflowClient, spec: StudySpec, splits: Splits, run: Run, tags: Mapping[str, str]) -> None:
        self.client = client
        self.experiment_id = run.info.experiment_id
        self.run_id = run.info.run_id
        self._spec = spec
        self._splits = splits
        self._tags = tags  # of every run
        self._live: dict[tuple[int, int], _Live] = {}
        self._flushed = time.monotonic()

    @classmethod
    def open(cls, client: MlflowClient, store: Store, spec: StudySpec, splits: Splits, common_tags: Mapping[str, str]) -> Tracker:
        """Find or make the study's experiment and run."""
        experiment = client.get_experiment_by_name(spec.name)
        if experiment is None:
            location = (store.artifacts / spec.name).as_uri() if store.local else None
            experiment_id = client.create_experiment(spec.name, location, {"mlflow.experimentKind": "custom_model_development"})
        else:
            experiment_id = experiment.experiment_id
        found = find_study(client, spec.name)
        tags = {**common_tags, **study_tags(spec, splits)}
        if found is None:
            run = client.create_run(experiment_id, tags={**tags, "tailor.kind": "study"}, run_name=spec.name)
        else:
            _, run = found
            client.log_batch(run.info.run_id, tags=[RunTag(k, v) for k, v in tags.items()])
            client.update_run(run.info.run_id, status="RUNNING")
            if "tailor.ended" in run.data.tags:
                client.delete_tag(run.info.run_id, "tailor.ended")
        for key, value in links.view_tags(spec).items():
            client.set_experiment_tag(experiment_id, key, value)
        client.log_text(run.info.run_id, json.dumps(spec.tables(), indent=2), STUDY_FILE)
        return cls(client, spec, splits, run, tags)

    def decided(self, tag: str, value: str) -> str:
        """What was decided once for this study: the tag's value where it stands already, else this one, noted."""
        tags = self.client.get_run(self.run_id).data.tags
        if tag not in tags:
            self.client.set_tag(self.run_id, tag, value)
        return tags.get(tag, value)

    def start(self, job: TrialJob, hparams: Mapping[str, Any]) -> str:
        """Open the run of an attempt and return its id."""
        suffix = f"-{job.attempt}" if job.attempt > 1 else ""
        tags = {
            "tailor.kind": "trial",
            "tailor.trial": str(job.trial),
            "tailor.attempt": str(job.attempt),
            "tailor.status": "running",
            "tailor.seed": str(job.seed),
            "tailor.precision": job.values["precision"],
            "mlflow.parentRunId": self.run_id,
            "mlflow.runColor": links.COLOURS[job.trial % len(links.COLOURS)],
            **self._tags,
        }
        run = self.client.create_run(self.experiment_id, tags=tags, run_name=f"trial-{job.trial:03d}{suffix}")
        params = [Param(name, str(value)) for name, value in flat(hparams).items()]
        self.client.log_batch(run.info.run_id, params=params)
        self._live[job.trial, job.attempt] = _Live(run.info.run_id, [])
        return run.info.run_id

    def epoch(self, report: EpochReport) -> None:
        """Note an epoch's metrics; they are written within FLUSH_SECONDS by `flush_due`."""
        live = self._live.get((report.trial, report.attempt))
        if live is not None:
            live.epochs += not report.replayed
            now = int(time.time() * 1000)
            live.metrics += [Metric(name, value, now, report.epoch) for name, value in report.metrics.items()]

    def flush_due(self) -> None:
        """Write what has waited, if it has waited long enough."""
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what has waited."""
        self._flushed = time.monotonic()
        for live in self._live.values():
            self._flush(live)

    def end(self, job: TrialJob, result: TrialResult) -> str:
        """Write all that an ended attempt leaves, close its run and return the run's id."""
        live = self._live.pop((job.trial, job.attempt))
        now = int(time.time() * 1000)
        live.metrics += [Metric(name, value, now, result.best_epoch) for name, value in result.metrics.items()]
        self._flush(live)
        self._artifacts(live.run_id, job, result)
        self.client.set_tag(live.run_id, EPOCHS, str(live.epochs))
        close_run(self.client, live.run_id, result.status, result.reason)
        return live.run_id

    def lose(self, job: TrialJob, reason: str) -> None:
        """Close the run of an attempt whose worker went away."""
        live = self._live.pop((job.trial, job.attempt))
        self._flush(live)
        self.client.set_tag(live.run_id, EPOCHS, str(live.epochs))
        close_run(self.client, live.run_id, "lost", reason)

    def end_study(self, status: str, tags: Mapping[str, str]) -> None:
        """Close the study's run: FINISHED, or KILLED when it was stopped and can go on."""
        self.client.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        self.client.set_terminated(self.run_id, status)

    def log_model(self, run_id: str, job: TrialJob, model: model_files.ModelFile, step: int) -> str:
        """Log a trial's model as a LoggedModel of its run and return the model's id."""
        labels = json.dumps(list(self._splits.class_names), ensure_ascii=False)
        tags = {
            "tailor.study": job.study,
            "tailor.trial": str(job.trial),
            "tailor.sha256": sha256(model.keras),
            "tailor.dataset_sha256": self._splits.digest,
        }
        logged = self.client.create_logged_model(self.experiment_id, MODEL_NAME, run_id, tags=tags, model_type="keras")
        with tempfile.TemporaryDirectory() as draft:
            folder = Path(draft) / "model"
            folder.mkdir()
            model_files.write(model, folder, logged.model_id, {"labels.json": labels})
            self.client.log_model_artifacts(logged.model_id, str(folder))
        self.client.finalize_logged_model(logged.model_id, "READY")
        self.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step)])
        return logged.model_id

    def drop_model(self, model_id: str) -> None:
        """Delete a model that is no longer among the kept, from disk too; one that a registered version points to stays."""
        if self.client.search_model_versions(f"source_path = 'models:/{model_id}'", max_results=1):
            return
        location = self.client.get_logged_model(model_id).artifact_location
        self.client.delete_logged_model(model_id)
        if location.startswith("file://"):  # <experiment>/models/<model id>/artifacts
            shutil.rmtree(Path(location.removeprefix("file://")).parent, ignore_errors=True)

    def kept_models(self) -> dict[int, str]:
        """The ids of the models that are logged now, by trial."""
        logged = self.client.search_logged_models([self.experiment_id], max_results=1000)
        return {int(model.tags["tailor.trial"]): model.model_id for model in logged if "tailor.trial" in model.tags}

    def _flush(self, live: _Live) -> None:
        if live.metrics:
            self.client.log_batch(live.run_id, metrics=live.metrics)
            live.metrics = []

    def _artifacts(self, run_id: str, job: TrialJob, result: TrialResult) -> None:
        names = self._splits.class_names
        made: dict[str, Callable[[], bytes]] = {"trial.json": lambda: _json(_replay(job))}
        if result.traceback:
            made["traceback.txt"] = result.traceback.encode
        if result.history:
            made["learning_curves.png"] = lambda: figures.learning_curves(result.history, result.best_epoch, job.epochs_done + 1)
        scored = result.evaluation
        if scored is not None:
            confusion = np.array(scored.confusion)
            made["confusion_matrix.json"] = lambda: _json({"labels": names, "counts": scored.confusion})
            made["confusion_matrix.png"] = lambda: figures.confusion_matrix(confusion, names)
            made["classification_report.json"] = lambda: _json(evaluation.report(confusion, names))
            made["sample_predictions.png"] = lambda: figures.sample_predictions(self._splits.val.images, scored.samples, names)
        with tempfile.TemporaryDirectory() as folder:
            for name, make in made.items():
                (Path(folder) / name).write_bytes(make())
            self.client.log_artifacts(run_id, folder)


def close_run(client: MlflowClient, run_id: str, status: str, reason: str) -> None:
    """End a run with its status and reason as tags. Statuses: complete, pruned, failed, stopped, lost."""
    tags = [RunTag("tailor.status", status)]
    if reason:
        tags.append(RunTag("tailor.status_reason", reason[:4000]))
    client.log_batch(run_id, tags=tags)
    client.set_terminated(run_id, RUN_STATUS[status])


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one, their keys joined by dots."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        result |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return result


def sha256(data: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _replay(job: TrialJob) -> dict[str, Any]:
    return {
        "model": job.model,
        "values": dict(job.values),
        "epochs": job.epochs,
        "epochs_done": job.epochs_done,
        "resumes": None if job.resumes is None else Path(job.resumes).name,
        "continues": None if job.weights is None else Path(job.weights).name,
        "seed": job.seed,
        "monitor": job.monitor,
        "maximize": job.maximize,
        "data": {"digest": Path(job.data.folder).name, "input_shape": job.data.input_shape, "classes": job.data.num_classes},
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode()
