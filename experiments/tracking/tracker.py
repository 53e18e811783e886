"""What a study leaves in MLflow: its run, a child run for each attempt, metrics live, artifacts and models, as entries.

This file composes the entries; the outbox delivers them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException

from ...search.analysis import palette
from ...search.study.spec import StudySpec
from ..datasets.splits import Splits
from ..store import Store
from ..trials.job import EpochReport, TrialJob, TrialResult
from . import model_files, ui_links
from .artifacts import make_artifacts
from .data_set import describe_data, log_data
from .descriptions import write_trial_note
from .entries import NEWEST, RUN_STATUS, BeginAttempt, DropModel, EndRun, LogMetrics, LogModel, Timed, end_tags
from .kinds import TRIAL, Kind
from .leaderboard import rate
from .lease import Lease
from .outbox import Outbox
from .reader import RecordedStudy, find_study
from .recorded import EPOCH, EPOCHS, NOTE, ORDER, PRECISION, SCORE, STUDY_FILE
from .tags import OF_STUDY

FLUSH_SECONDS = 2.0


@dataclass
class _Live:
    """A running attempt: its metrics that wait, the epochs that it trained itself, the trial's newest epoch and its metrics."""

    metrics: list[Timed]
    hparams: Mapping[str, Any]
    newest: Mapping[str, float] = field(default_factory=dict)
    epochs: int = 0
    epoch: int = 0

    @property
    def tags(self) -> dict[str, str]:
        return {EPOCHS: str(self.epochs), EPOCH: str(self.epoch)}


class Tracker:
    """Composes the entries of one study. It belongs to one coordinator."""

    def __init__(self, outbox: Outbox, splits: Splits, tags: Mapping[str, str], lease: Lease, kind: Kind = TRIAL) -> None:
        self.outbox = outbox
        self._lease = lease
        self._kind = kind
        self._splits = splits
        self._tags = {name: value for name, value in tags.items() if name not in OF_STUDY}
        self._data = describe_data(tags["tailor.dataset"], splits)
        self._live: dict[tuple[int, int], _Live] = {}
        self._flushed = time.monotonic()

    def begin_study(self) -> None:
        """Record the data set on the study's run."""
        log_data(self.outbox.study.client, self.outbox.study.run_id, self._data)

    def begin_attempt(self, job: TrialJob, hparams: Mapping[str, Any]) -> None:
        """Open the run of an attempt."""
        tags = {
            NOTE: self._describe(job, hparams, None, "running"),
            **self._kind.tags(job.trial),
            "tailor.attempt": str(job.attempt),
            "tailor.status": "running",
            "tailor.seed": str(job.seed),
            PRECISION: job.values["precision"],
            "mlflow.parentRunId": self.outbox.study.run_id,
            "mlflow.runColor": palette.SERIES[job.trial % len(palette.SERIES)],  # MLflow's own choice gives several the same
            **self._tags,
        }
        params = {name: str(value) for name, value in flatten(hparams).items()}
        self.outbox.put(BeginAttempt((job.trial, job.attempt), self._kind.name_run(job.trial), tags, params, _now(), self._data))
        self._live[job.trial, job.attempt] = _Live([], hparams)

    def log_epoch(self, report: EpochReport) -> None:
        """Note an epoch's metrics; `tick` writes them within FLUSH_SECONDS."""
        live = self._live.get((report.trial, report.attempt))
        if live is not None:
            live.epochs += not report.replayed
            live.epoch, live.newest = report.epoch, report.metrics
            live.metrics += [(name, value, _now(), report.epoch) for name, value in report.metrics.items()]

    def tick(self) -> None:
        """Write what waits, every FLUSH_SECONDS, and what the outbox kept while MLflow was away; renew the lease."""
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            self.flush()
        self.outbox.retry()
        self._lease.renew()

    def flush(self) -> None:
        """Write what waits."""
        self._flushed = time.monotonic()
        for attempt, live in self._live.items():
            self._flush(attempt, live)

    def end_attempt(self, job: TrialJob, result: TrialResult) -> None:
        """Write the results of an ended attempt, and close its run."""
        attempt = (job.trial, job.attempt)
        live = self._live.pop(attempt)
        live.metrics += [(name, value, _now(), result.best_epoch) for name, value in result.metrics.items()]
        order = self._rate(job, live, result.status, result.metrics)
        self._flush(attempt, live)
        note = self._describe(job, live.hparams, result, result.status)
        self._close(
            attempt,
            live,
            {NOTE: note, **order, **end_tags(result.status, result.reason)},
            RUN_STATUS[result.status],
            make_artifacts(job, result, self._splits),
        )

    def lose_attempt(self, job: TrialJob, reason: str, status: str = "lost") -> None:
        """Close the run of an attempt whose worker is gone: lost, or failed if the trial gets no further attempt."""
        attempt = (job.trial, job.attempt)
        live = self._live.pop(attempt)
        order = self._rate(job, live, status, {})
        self._flush(attempt, live)
        note = self._describe(job, live.hparams, None, status)
        self._close(attempt, live, {NOTE: note, **order, **end_tags(status, reason)}, RUN_STATUS[status], {})

    def end_study(self, status: str, tags: Mapping[str, str]) -> None:
        """Close the study's run: FINISHED, KILLED if it was stopped and can resume, or FAILED."""
        self.outbox.put(EndRun(None, dict(tags), status, _now()))

    def log_model(self, job: TrialJob, model: model_files.ModelFile, step: int) -> None:
        """Log a trial's model as a LoggedModel of its attempt's run."""
        tags = {
            "tailor.study": job.study,
            self._kind.tag: str(job.trial),
            "tailor.sha256": sha256(model.keras),
            "tailor.dataset_sha256": self._splits.digest,
        }
        files = {"model.keras": model.keras, "labels.json": json.dumps(self._splits.class_names, ensure_ascii=False).encode()}
        if model.source is not None:
            code = files[model.source.name] = model.source.read_bytes()
            tags["tailor.code_sha256"] = sha256(code)
        source = None if model.source is None else model.source.name
        attempt = (job.trial, job.attempt)
        self.outbox.put(LogModel(attempt, tags, model.input_shape, model.num_classes, step, source, files))

    def drop_model(self, trial: int) -> None:
        """Delete the model of a trial that is no longer kept, unless a registered version points to it."""
        self.outbox.put(DropModel(None, trial))

    def _rate(self, job: TrialJob, live: _Live, status: str, metrics: Mapping[str, float]) -> dict[str, str]:
        """Note a trial's score as a metric; returns the tag that puts it in its place on MLflow's page."""
        if self._kind is not TRIAL:
            return {}
        score, order = rate(job.trial, status, {**live.newest, **metrics}, self.outbox.study.goal)
        if score is not None:
            live.metrics.append((SCORE, score, _now(), live.epoch))
        return {ORDER: order}

    def _flush(self, attempt: tuple[int, int], live: _Live) -> None:
        if live.metrics:
            self.outbox.put(LogMetrics(attempt, tuple(live.metrics), live.tags))
            live.metrics = []

    def _close(
        self, attempt: tuple[int, int], live: _Live, tags: Mapping[str, str], status: str, files: Mapping[str, bytes]
    ) -> None:
        self.outbox.put(EndRun(attempt, {**live.tags, **tags}, status, _now(), files))

    def _describe(self, job: TrialJob, hparams: Mapping[str, Any], result: TrialResult | None, status: str) -> str:
        return write_trial_note(job.study, self._kind, job.trial, hparams, result, status)


def open_study(client: MlflowClient, store: Store, spec: StudySpec, tags: Mapping[str, str]) -> RecordedStudy:
    """Find or make the study's run in its experiment, and write the spec to it."""
    found = find_study(client, spec.name)
    if found is None:
        study = _find_draft(client, open_experiment(client, store, spec.name), spec, tags)
    else:
        study = found
        client.update_run(study.run_id, status="RUNNING")
        if "tailor.ended" in study.tags:
            client.delete_tag(study.run_id, "tailor.ended")
    client.log_batch(study.run_id, tags=[RunTag(k, v) for k, v in tags.items()])  # an earlier draft may have another spec
    experiment = client.get_experiment(study.experiment_id)
    if found is not None and ORDER not in experiment.tags.get(ui_links.VIEW_TAG, ""):
        _mark_attempts(found)
    for key, value in ui_links.make_view_tags(spec).items():
        client.set_experiment_tag(study.experiment_id, key, value)
    if found is None or found.read_spec() != spec:
        client.log_text(study.run_id, json.dumps(spec.tables(), indent=2), STUDY_FILE)
    if found is None:
        client.set_tag(study.run_id, "tailor.kind", "study")
    return study.refresh()


def _mark_attempts(study: RecordedStudy) -> None:
    """Mark the attempts of a study from before they were marked, for the view: it shows the newest ones, in their order."""
    attempts = sorted(study.read_attempts(), key=lambda one: one.attempt)
    newest = {one.trial: one.attempt for one in attempts}
    for one in attempts:
        is_newest = one.attempt == newest[one.trial]
        tags, metrics = {NEWEST: "yes" if is_newest else "no"}, list[Metric]()
        if one.status != "running":
            score, tags[ORDER] = rate(one.trial, one.status, one.metrics, study.goal)
            metrics = [] if score is None else [Metric(SCORE, score, _now(), one.epoch)]
        study.client.log_batch(one.run_id, metrics, tags=[RunTag(*tag) for tag in tags.items()])
        study.client.update_run(one.run_id, name=TRIAL.name_run(one.trial, 0 if is_newest else one.attempt))


def open_experiment(client: MlflowClient, store: Store, study: str) -> str:
    """Find or make the study's experiment, and return its id."""
    experiment = client.get_experiment_by_name(study)
    if experiment is not None:
        return experiment.experiment_id
    location = None if store.served else (store.artifacts / study).as_uri()
    try:
        return client.create_experiment(study, location, {"mlflow.experimentKind": "custom_model_development"})
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return open_experiment(client, store, study)  # another process was first


def _find_draft(client: MlflowClient, experiment_id: str, spec: StudySpec, tags: Mapping[str, str]) -> RecordedStudy:
    """The run of a new study: a draft until its spec is written, so that a kill in between leaves no unreadable study."""
    drafts = client.search_runs([experiment_id], "tags.`tailor.kind` = 'draft'", max_results=1)
    draft = {**tags, "tailor.kind": "draft"}
    run = drafts[0] if drafts else client.create_run(experiment_id, tags=draft, run_name=spec.name)
    return RecordedStudy.of(client, run)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one, with keys joined by dots."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        result |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return result


def sha256(data: bytes) -> str:
    """The SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _now() -> int:
    return int(time.time() * 1000)
