"""What a study leaves in MLflow: its run, a child run for each attempt, metrics live, artifacts and models, as entries.

This file composes the entries; the outbox sees that they arrive.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import RunTag

from ...search.study.spec import StudySpec
from ..datasets.splits import Splits
from ..store import Store
from ..trials import metrics
from ..trials.job import EpochReport, TrialJob, TrialResult
from . import figures, model_files, ui_links
from .outbox import Outbox
from .reader import STUDY_FILE, find_study, recorded_spec
from .spool import Entry

FLUSH_SECONDS = 2.0
EPOCHS = "tailor.epochs"
RUN_STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "stopped": "KILLED", "lost": "KILLED"}
Timed = tuple[str, float, int, int]  # a metric: name, value, milliseconds, step


@dataclass
class _Live:
    """An attempt under way: what waits to be written of it, and the epochs that it trained itself."""

    metrics: list[Timed]
    epochs: int = 0


class Tracker:
    """Composes the entries of one study. One coordinator owns it."""

    def __init__(self, outbox: Outbox, splits: Splits, tags: Mapping[str, str]) -> None:
        self.outbox = outbox
        self._splits = splits
        self._tags = tags  # of every run
        self._live: dict[tuple[int, int], _Live] = {}
        self._flushed = time.monotonic()

    def start(self, job: TrialJob, hparams: Mapping[str, Any]) -> None:
        """Open the run of an attempt."""
        suffix = f"-{job.attempt}" if job.attempt > 1 else ""
        tags = {
            "tailor.kind": "trial",
            "tailor.trial": str(job.trial),
            "tailor.attempt": str(job.attempt),
            "tailor.status": "running",
            "tailor.seed": str(job.seed),
            "tailor.precision": job.values["precision"],
            "mlflow.parentRunId": self.outbox.study_run,
            "mlflow.runColor": ui_links.COLOURS[job.trial % len(ui_links.COLOURS)],
            **self._tags,
        }
        params = {name: str(value) for name, value in flat(hparams).items()}
        fields = {"name": f"trial-{job.trial:03d}{suffix}", "tags": tags, "params": params, "time": _now()}
        self.outbox.put(Entry("start", (job.trial, job.attempt), fields))
        self._live[job.trial, job.attempt] = _Live([])

    def epoch(self, report: EpochReport) -> None:
        """Note an epoch's metrics; they are written within FLUSH_SECONDS by `flush_due`."""
        live = self._live.get((report.trial, report.attempt))
        if live is not None:
            live.epochs += not report.replayed
            live.metrics += [(name, value, _now(), report.epoch) for name, value in report.metrics.items()]

    def flush_due(self) -> None:
        """Write what has waited, if it has waited long enough, and what was kept while MLflow was away."""
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()
        self.outbox.retry()

    def flush(self) -> None:
        """Write what has waited."""
        self._flushed = time.monotonic()
        for attempt, live in self._live.items():
            self._flush(attempt, live)

    def end(self, job: TrialJob, result: TrialResult) -> None:
        """Write all that an ended attempt leaves, and close its run."""
        attempt = (job.trial, job.attempt)
        live = self._live.pop(attempt)
        live.metrics += [(name, value, _now(), result.best_epoch) for name, value in result.metrics.items()]
        self._flush(attempt, live)
        self._close(attempt, live, result.status, result.reason, self._artifacts(job, result))

    def lose(self, job: TrialJob, reason: str, status: str = "lost") -> None:
        """Close the run of an attempt whose worker went away: lost, or failed where the trial is not tried again."""
        attempt = (job.trial, job.attempt)
        live = self._live.pop(attempt)
        self._flush(attempt, live)
        self._close(attempt, live, status, reason, {})

    def end_study(self, status: str, tags: Mapping[str, str]) -> None:
        """Close the study's run: FINISHED, KILLED when it was stopped and can go on, or FAILED."""
        self.outbox.put(Entry("end", None, {"tags": dict(tags), "status": status, "time": _now()}))

    def log_model(self, job: TrialJob, model: model_files.ModelFile, step: int) -> None:
        """Log a trial's model as a LoggedModel of its attempt's run."""
        tags = {
            "tailor.study": job.study,
            "tailor.trial": str(job.trial),
            "tailor.sha256": sha256(model.keras),
            "tailor.dataset_sha256": self._splits.digest,
        }
        files = {"model.keras": model.keras, "labels.json": json.dumps(self._splits.class_names, ensure_ascii=False).encode()}
        if model.source is not None:
            code = files[model.source.name] = model.source.read_bytes()
            tags["tailor.code_sha256"] = sha256(code)
        fields = {
            "tags": tags,
            "shape": model.input_shape,
            "classes": model.num_classes,
            "step": step,
            "source": None if model.source is None else model.source.name,
        }
        self.outbox.put(Entry("model", (job.trial, job.attempt), fields, files))

    def drop_model(self, trial: int) -> None:
        """Delete the model of a trial that is no longer among the kept; one that a registered version points to stays."""
        self.outbox.put(Entry("drop", None, {"trial": trial}))

    def _flush(self, attempt: tuple[int, int], live: _Live) -> None:
        if live.metrics:
            self.outbox.put(Entry("metrics", attempt, {"metrics": live.metrics, "tags": {EPOCHS: str(live.epochs)}}))
            live.metrics = []

    def _close(self, attempt: tuple[int, int], live: _Live, status: str, reason: str, files: Mapping[str, bytes]) -> None:
        tags = {EPOCHS: str(live.epochs), **ending(status, reason)}
        self.outbox.put(Entry("end", attempt, {"tags": tags, "status": RUN_STATUS[status], "time": _now()}, files))

    def _artifacts(self, job: TrialJob, result: TrialResult) -> dict[str, bytes]:
        names = self._splits.class_names
        made = {"trial.json": _json(_replay(job))}
        if result.traceback:
            made["traceback.txt"] = result.traceback.encode()
        if result.history:
            made["learning_curves.png"] = figures.learning_curves(result.history, result.best_epoch, job.epochs_done + 1)
        scored = result.evaluation
        if scored is not None:
            made["confusion_matrix.json"] = _json(metrics.plain_confusion(scored.confusion, names))
            made["confusion_matrix.png"] = figures.confusion_matrix(scored.confusion, names)
            made["classification_report.json"] = _json(metrics.report(scored.confusion, names))
            made["sample_predictions.png"] = figures.sample_predictions(self._splits.val.images, scored.samples, names)
        return made


def open_study(client: MlflowClient, store: Store, spec: StudySpec, splits: Splits, tags: Mapping[str, str]) -> tuple[str, str]:
    """Find or make the study's experiment and run, and write the spec to it. Answers their ids."""
    experiment = client.get_experiment_by_name(spec.name)
    if experiment is None:
        location = None if store.served else (store.artifacts / spec.name).as_uri()
        experiment_id = client.create_experiment(spec.name, location, {"mlflow.experimentKind": "custom_model_development"})
    else:
        experiment_id = experiment.experiment_id
    found = find_study(client, spec.name)
    if found is not None:
        run = found[1]
        client.log_batch(run.info.run_id, tags=[RunTag(k, v) for k, v in tags.items()])
        client.update_run(run.info.run_id, status="RUNNING")
        if "tailor.ended" in run.data.tags:
            client.delete_tag(run.info.run_id, "tailor.ended")
    else:  # a draft until its spec is written, or a search killed in between would leave a study that nobody can read
        drafts = client.search_runs([experiment_id], "tags.`tailor.kind` = 'draft'", max_results=1)
        draft = {**tags, "tailor.kind": "draft"}
        run = drafts[0] if drafts else client.create_run(experiment_id, tags=draft, run_name=spec.name)
        client.log_batch(run.info.run_id, tags=[RunTag(k, v) for k, v in tags.items()])  # an earlier draft may be of another spec
    for key, value in ui_links.view_tags(spec).items():
        client.set_experiment_tag(experiment_id, key, value)
    if found is None or recorded_spec(client, run) != spec:
        client.log_text(run.info.run_id, json.dumps(spec.tables(), indent=2), STUDY_FILE)
    if found is None:
        client.set_tag(run.info.run_id, "tailor.kind", "study")
    return experiment_id, run.info.run_id


def decided_once(client: MlflowClient, run_id: str, tag: str, value: str) -> str:
    """What was decided once for this study: the tag's value where it stands already, else this one, noted."""
    tags = client.get_run(run_id).data.tags
    if tag not in tags:
        client.set_tag(run_id, tag, value)
    return tags.get(tag, value)


def close_run(client: MlflowClient, run_id: str, status: str, reason: str) -> None:
    """End a run with its status and reason as tags. Statuses: complete, pruned, failed, stopped, lost."""
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in ending(status, reason).items()])
    client.set_terminated(run_id, RUN_STATUS[status])


def ending(status: str, reason: str) -> dict[str, str]:
    """The tags of an ended attempt."""
    return {"tailor.status": status, **({"tailor.status_reason": reason[:4000]} if reason else {})}


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


def _now() -> int:
    return int(time.time() * 1000)
