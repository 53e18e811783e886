"""`tailor reproduce`: train a recorded trial again, of what its run holds alone, and compare its numbers and what made them.

It writes nothing to the store: a reproduction is no trial of its study.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from math import isnan
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from ...models.references import is_file
from ...search.study.goal import EPOCH_METRICS
from ...search.study.spec import StudySpec
from ..datasets import splits as splitting
from ..datasets.splits import DataHandle
from ..errors import InputError, RunError
from ..planning.resolve import open_data
from ..planning.resume_check import CODE_TAG, digest_files, list_changed_files, read_files_tag
from ..registry.files import CODE_SHA256, fetch_saved_model
from ..reports.compare import find_run
from ..store import Store
from ..system.words import count
from ..tracking.pages import read_pages
from ..tracking.reader import RecordedStudy, find_study
from ..tracking.recorded_trial import TIMES, RecordedTrial, read_trial
from ..tracking.tags import COMMIT, CPU, DIGEST, THREADS, VERSION, describe_machine, describe_origin
from ..trials.checkpoints import Checkpoints
from ..trials.job import EpochReport, TrialJob, TrialResult
from ..workers.pool import Lost, Note, Pool
from .progress import Progress, RunningTrial, Screen
from .session import count_workers

TICK = 0.25  # seconds between two looks at the worker


@dataclass(frozen=True)
class Number:
    """A metric that differs, of an epoch or (None) of the whole trial; None for a value that is missing."""

    epoch: int | None
    metric: str
    recorded: float | None
    now: float | None


@dataclass(frozen=True)
class Difference:
    """What else differs: a version, the data, the code, …; None for what was not recorded, or is not there now."""

    what: str
    recorded: str | None
    now: str | None


@dataclass(frozen=True)
class Reproduction:
    """How a trial that was trained again compares. `numbers` are those that differ, of `compared` in all."""

    run_id: str
    study: str
    trial: int
    epochs: int
    compared: int
    numbers: tuple[Number, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    failure: str = ""  # why it could not be trained to its end this time

    @property
    def same(self) -> bool:
        """Whether every number is the recorded one."""
        return not self.numbers and not self.failure

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return {"same": self.same, **asdict(self)}


@dataclass
class _Made:
    """What the trial is made of today: its tags, as runs have them, and notes for the screen."""

    tags: dict[str, str]
    notes: list[str] = field(default_factory=list)


def reproduce(client: MlflowClient, store: Store, name: str, data_dir: Path | None, screen: Screen) -> Reproduction:
    """Train the trial that `name` finds again, on one worker. Raises InputError if it cannot be, RunError if its worker dies."""
    _, run = find_run(client, name)
    study = find_study(client, run.data.tags["tailor.study"])
    if study is None:
        raise InputError(f"RUN: the study of run {name!r}, {run.data.tags['tailor.study']!r}, is not in the store any more.")
    trial, spec = read_trial(study, run), study.read_spec()
    weights = _find_weights(trial, store)
    threads = int(trial.tags.get(THREADS) or count_workers(spec)[1])
    made = _Made({**describe_origin(Path.cwd()), **describe_machine(threads)}, list(_describe_start(trial)))
    with tempfile.TemporaryDirectory(prefix="tailor-") as folder:
        code = _choose_code(trial, spec, Path(folder), made) if is_file(spec.model) else None
        job = _rebuild(trial, spec, _choose_data(trial, spec, store, data_dir, Path(folder), made), code, weights)
        screen.line("the worker is starting")
        pool = Pool.open(1, threads, spec.workers.grace)
        try:
            if ":" in spec.model and code is None:
                made.tags[CODE_TAG] = _digest_module(pool, job, screen)
            result = _train(job, pool, screen, max(trial.epochs, default=0), spec)
        finally:
            pool.close()
    return _compare(trial, spec, result, made)


def _find_weights(trial: RecordedTrial, store: Store) -> Path | None:
    """The file of the weights that the trial began with, if it did. Raises InputError if it is gone."""
    name = trial.described["continues"]
    if name is None:
        return None
    weights = Checkpoints(store.checkpoints, trial.study.name).find(int(Path(name).stem))
    if weights is None:
        raise InputError(
            f"RUN: trial {trial.number} of study {trial.study.name} continued the weights of trial {Path(name).stem}, "
            f"which are not in {store.checkpoints} any more; take a trial that began by itself."
        )
    return weights


def _describe_start(trial: RecordedTrial) -> Iterator[str]:
    described = trial.described
    if described["continues"] is not None:
        source, done = Path(described["continues"]).stem, described["epochs_done"]
        yield f"trial {trial.number} continued the weights of trial {source} after {count(done, 'epoch')}, and does so again"
    if described["resumes"] is not None:
        yield f"trial {trial.number} was interrupted and resumed from a checkpoint; this time it trains in one go"
    if trial.pruned:
        yield f"trial {trial.number} was pruned after epoch {max(trial.epochs, default=0)}, and is stopped there again"


def _choose_data(
    trial: RecordedTrial, spec: StudySpec, store: Store, data_dir: Path | None, folder: Path, made: _Made
) -> DataHandle:
    """The data as it is today; if it has changed, the store's copy of the recorded data, if there is one."""
    before, described = trial.tags[DIGEST], trial.described["data"]
    kept = store.cache / before
    try:
        splits = open_data(spec, data_dir)
    except InputError:  # the data set is gone
        if not kept.is_dir():
            raise
    else:
        made.tags[DIGEST] = splits.digest
        if not kept.is_dir():
            return splitting.cache(splits, folder / "data")
    if made.tags.get(DIGEST) != before:
        made.notes.append("the data has changed or is gone; the trial is trained on the store's copy of the recorded data")
    height, width, channels = described["input_shape"]
    return DataHandle(str(kept), (height, width, channels), described["classes"])


def _choose_code(trial: RecordedTrial, spec: StudySpec, folder: Path, made: _Made) -> Path:
    """A copy of the model's file as it is today; if it has changed, of the recorded one, if a model of the study holds it."""
    path, before = Path(spec.model.rpartition(":")[0]), trial.study.tags.get(CODE_TAG)
    code = path.read_bytes() if path.is_file() else None
    if code is not None:
        made.tags[CODE_TAG] = hashlib.sha256(code).hexdigest()
    if before is not None and made.tags.get(CODE_TAG) != before:
        kept = _fetch_code(trial.study, before)
        if kept is not None:
            code = kept
            made.notes.append(f"{path} has changed or is gone; the trial is trained with the recorded copy")
    if code is None:
        raise InputError(f"RUN: there is no file {str(path)!r}, and no model of study {spec.name} holds a copy; restore it.")
    copy = folder / path.name
    copy.write_bytes(code)
    return copy


def _fetch_code(study: RecordedStudy, digest: str) -> bytes | None:
    """The file with that SHA-256 that travels with the study's models. Raises InputError if it was changed there."""
    for model in read_pages(study.client.search_logged_models, [study.experiment_id]):
        if model.tags.get(CODE_SHA256) == digest:
            saved = fetch_saved_model(study.client, model.model_id)
            saved.verify()
            return None if saved.source is None else saved.source.read_bytes()
    return None


def _digest_module(pool: Pool, job: TrialJob, screen: Screen) -> str:
    try:
        return pool.preflight(job, screen.line).code
    except Exception:  # whatever the user's code raises: the trial itself says it
        return ""


def _rebuild(trial: RecordedTrial, spec: StudySpec, data: DataHandle, code: Path | None, weights: Path | None) -> TrialJob:
    described = trial.described
    return TrialJob(
        study=spec.name,
        trial=trial.number,
        attempt=int(trial.tags["tailor.attempt"]),
        model=described["model"],
        values=described["values"],
        data=data,
        epochs=described["epochs"],
        seed=described["seed"],
        monitor=described["monitor"],
        maximize=described["maximize"],
        waits=trial.pruned,
        folder=str(Path.cwd()),
        code=None if code is None else str(code),
        in_memory=spec.workers.in_memory,
        weights=None if weights is None else str(weights),
        epochs_done=described["epochs_done"],
        declared=spec.found.declared if spec.compiled else None,
    )


def _train(job: TrialJob, pool: Pool, screen: Screen, last: int, spec: StudySpec) -> TrialResult:
    """Train the job; one that waits for answers is stopped after epoch `last`."""
    running = RunningTrial(job.trial, job.attempt, job.epochs, since=time.monotonic())
    progress = Progress(job.study, spec.objective.metric, 1, 1, {job.trial: running})
    pool.submit(job)
    while True:
        for event in pool.wait(TICK):
            match event:
                case Note():
                    screen.line(event.text)
                case Lost():
                    raise RunError(f"trial {job.trial}: its worker was lost ({event.reason}); the same command tries again.")
                case EpochReport():
                    running.epoch, running.value = event.epoch, event.metrics.get(spec.objective.metric)
                    if job.waits:
                        pool.answer(job, event.epoch, event.epoch >= last)
                case TrialResult():
                    if event.shown:
                        screen.line(event.shown.rstrip())
                    return event
        screen.show(progress)


def _same(one: float | None, other: float | None) -> bool:
    """Whether both are the same number, or both no number: a custom train_step may return no accuracy."""
    return one == other or (one is not None and other is not None and isnan(one) and isnan(other))


def _compare(trial: RecordedTrial, spec: StudySpec, result: TrialResult, made: _Made) -> Reproduction:
    first = trial.described["epochs_done"] + 1
    before = _flatten(trial.epochs, trial.final)
    now = _flatten(dict(enumerate(result.history, first)), result.metrics)
    keys = list(dict.fromkeys([*before, *now]))
    return Reproduction(
        trial.run.info.run_id,
        spec.name,
        trial.number,
        len(trial.epochs),
        len(keys),
        tuple(Number(*key, before.get(key), now.get(key)) for key in keys if not _same(before.get(key), now.get(key))),
        tuple(_list_differences(trial, spec, made.tags)),
        tuple(made.notes),
        result.reason if result.status in ("failed", "stopped") else "",
    )


def _flatten(epochs: Mapping[int, Mapping[str, float]], final: Mapping[str, float]) -> dict[tuple[int | None, str], float]:
    """The numbers of a trial by epoch and metric, in order; those of the whole trial last."""
    found: dict[tuple[int | None, str], float] = {
        (epoch, name): metrics[name] for epoch, metrics in epochs.items() for name in EPOCH_METRICS if name in metrics
    }
    return found | {(None, name): final[name] for name in sorted(final) if name not in TIMES}


def _list_differences(trial: RecordedTrial, spec: StudySpec, now: Mapping[str, str]) -> Iterator[Difference]:
    before = {**trial.tags, **({CODE_TAG: trial.study.tags[CODE_TAG]} if CODE_TAG in trial.study.tags else {})}
    versions = [tag for tag in {**now, **before} if tag.startswith(VERSION)]
    named = {
        **{tag: f"version of {tag.removeprefix(VERSION)}" for tag in versions},
        DIGEST: f"data ({spec.dataset})",
        CODE_TAG: f"code ({spec.model})",
        THREADS: "threads a worker",
        CPU: "processor",
        COMMIT: "git commit",
    }
    for tag, what in named.items():
        if (before.get(tag) or None) != (now.get(tag) or None):
            yield Difference(what, before.get(tag) or None, now.get(tag) or None)
    values = trial.described["values"].values()
    files, today = read_files_tag(trial.study.tags), digest_files(values)
    for value in list_changed_files(values, trial.study.tags):
        yield Difference(f"file ({value})", files[value], today.get(value))
