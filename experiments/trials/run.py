"""One trial on one worker: TrialJob to TrialResult. It loads, builds, fits and evaluates, and knows no store."""

from __future__ import annotations

import os
import tempfile
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...models.beginnings import changed_weights, find_changed, refuse_kept
from ...models.errors import ModelError
from ...models.factory import BUILT_IN, resolve
from ...models.keras_tuner import hypermodel
from ...models.training.options import TrainOptions, split
from ...models.training.seeding import seed_all
from ...search.errors import storable
from ..datasets.splits import DataHandle
from .failure import explain_failure, trace
from .filters import find_filters
from .job import EpochReport, TrialJob, TrialResult
from .metrics import Evaluation, evaluate
from .process import at_work

if TYPE_CHECKING:
    import keras

    from ...models.training.fit import Data, Fitted

CHECKPOINT_SECONDS = 25.0  # of training; with units of two seconds, at most 30 are lost with a worker


class Channel(Protocol):
    """A trial's connection to the coordinator."""

    def report(self, report: EpochReport) -> bool:
        """Send an epoch's metrics; True asks to stop. Waits for the answer if the job says so."""

    def replay(self, report: EpochReport) -> None:
        """Send the metrics of an epoch that an earlier attempt trained."""

    def check(self) -> None:
        """Raise Stopped if the coordinator asks every trial to end."""

    def note(self, text: str) -> None:
        """Print a line about this attempt on the screen."""


class Stopped(Exception):
    """The coordinator asked every trial to end."""


def run_trial(job: TrialJob, channel: Channel) -> TrialResult:
    """Run one attempt. Any error in it becomes a result with a reason that every store takes, never an exception."""
    try:
        with at_work(job):
            return _run(job, channel)
    except Stopped:
        return TrialResult(job.trial, job.attempt, "stopped", "stopped by request")
    except BaseException as error:  # of whatever class: the user's code raised it
        reason, whole, shown = map(storable, (explain_failure(error), traceback.format_exc(), trace(error)))
        return TrialResult(job.trial, job.attempt, "failed", reason, whole, shown)


def build(job: TrialJob, policy: str | None = None) -> tuple[keras.Model, TrainOptions]:
    """Build the job's model, seeded, and its training options, in the job's folder (`at_work`).

    Raises ModelError, also for a model that would begin with what an earlier one learned, and what a custom factory raises; its
    sys.exit becomes a ModelError, as it would end the process.

    `policy` is Keras's dtype policy; it replaces the one that the options' precision asks for.
    """
    model, options = _call_factory(job, policy)
    if job.model not in BUILT_IN and (changed := find_changed(model)):
        return build_after(job, changed, policy)
    return model, options


def build_after(job: TrialJob, weights: list[tuple[str, Any]], policy: str | None = None) -> tuple[keras.Model, TrainOptions]:
    """Build the job's model after these weights of an earlier one, with their layers' names, have changed as by training.

    Raises ModelError if the model has one of them as it was changed. Those that the factory did not set are as before.
    """
    with changed_weights([weight for _, weight in weights]) as is_kept:
        model, options = _call_factory(job, policy)
        refuse_kept(job.model, model, [(layer, weight) for layer, weight in weights if is_kept(weight)])
    return model, options


def convert_to_float32(job: TrialJob, model: keras.Model) -> keras.Model:
    """The job's model as it is kept: it computes in float32.

    One that cannot be cloned, such as one with a layer that was adapted to data, is built anew with its weights.
    """
    from ...models.training import clone

    converted = clone.convert_to_float32(model)
    if not clone.uses_bfloat16(converted):
        return converted
    weights = model.get_weights()  # before the factory sets those of layers that it keeps
    converted, _ = build(job, "float32")
    converted.set_weights(weights)
    return converted


def _call_factory(job: TrialJob, policy: str | None) -> tuple[keras.Model, TrainOptions]:
    import keras

    declared = job.declared or ()
    options, hparams = split({name: value for name, value in job.values.items() if name not in declared})
    keras.utils.clear_session(free_memory=False)  # the layers' automatic names start again, so that equal models have equal names
    keras.config.set_dtype_policy(policy or ("mixed_bfloat16" if options.precision == "bfloat16" else "float32"))
    kept = None if job.code is None else Path(job.code)
    data = (job.data.input_shape, job.data.num_classes)
    try:
        with seed_all(job.seed):
            if job.declared is None:
                return resolve(job.model, kept).make(hparams, options, data, job.values)
            hp = {name: job.values[name] for name in declared if name in job.values}
            return hypermodel.build(job.model, hp, options, data, kept)
    except SystemExit as error:
        raise ModelError(f"model {job.model!r}: its code called sys.exit({error.code!r}); raise an error instead.") from error


def _run(job: TrialJob, channel: Channel) -> TrialResult:
    from ...models.training.fit import FitHooks, FitPlan, fit

    data = open_data(job.data, job.in_memory)
    model, options = build(job)
    began = [time.perf_counter()]

    def report(epoch: int, metrics: Mapping[str, float]) -> bool:
        now = time.perf_counter()
        stop = channel.report(EpochReport(job.trial, job.attempt, epoch, metrics, now - began[0]))
        began[0] = time.perf_counter()
        return stop

    if job.weights is not None:
        model.load_weights(job.weights)  # weights alone: no code of the file runs

    def replay(epoch: int, metrics: Mapping[str, float]) -> None:
        channel.replay(EpochReport(job.trial, job.attempt, epoch, metrics, 0.0, replayed=True))

    plan = FitPlan(job.epochs, job.seed, job.monitor, job.maximize, job.epochs_done, job.last_epoch)

    def restarted() -> None:
        why = "is damaged, or from before max_epochs or another option changed"
        channel.note(f"its checkpoint {job.resumes} {why}; the trial starts again")

    save = partial(write_checkpoint, job, channel)
    hooks = FitHooks(report, channel.check, replay, save, CHECKPOINT_SECONDS, read_checkpoint(job), restarted)
    fitted = fit(model, data, options, plan, hooks)
    evaluation = evaluate(
        data.val_labels.numpy(), fitted.validation.labels, fitted.validation.confidence, fitted.validation.loss, data.num_classes
    )
    exported = None if fitted.pruned else serialize(convert_to_float32(job, model))
    return TrialResult(
        job.trial,
        job.attempt,
        "pruned" if fitted.pruned else "complete",
        f"after epoch {job.epochs_done + len(fitted.history)}" if fitted.pruned else "",
        history=fitted.history,
        best_epoch=fitted.best_epoch,
        metrics=_metrics(model, fitted, evaluation) | ({} if exported is None else {"model_bytes": float(len(exported))}),
        evaluation=evaluation,
        model=exported,
        filters=None if fitted.pruned else find_filters(model, job.data.input_shape),
    )


def _metrics(model: keras.Model, fitted: Fitted, evaluation: Evaluation) -> dict[str, float]:
    augmented = fitted.augmented
    return {
        **{f"best_{name}": value for name, value in fitted.best.items() if name != "learning_rate"},
        **({} if augmented is None else {"val_tta_accuracy": augmented.accuracy, "val_tta_loss": augmented.loss}),
        "best_epoch": float(fitted.best_epoch),
        "val_macro_f1": evaluation.macro_f1,
        "parameters": float(model.count_params()),
        "train_seconds": fitted.seconds,
        "samples_per_second": fitted.samples / fitted.seconds,
        "latency_ms": fitted.latency_ms,
    }


def write_checkpoint(job: TrialJob, channel: Channel, checkpoint: bytes) -> None:
    """Write the attempt's checkpoint, whole or not at all. The trial trains on if its checkpoint cannot be written."""
    if job.saves_to is None:
        return
    place = Path(job.saves_to)
    draft = place.with_suffix(".draft")
    try:
        draft.write_bytes(checkpoint)
        os.replace(draft, place)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        channel.note(f"its checkpoint {place} cannot be written ({error.strerror}); if it is killed now, it starts again")


def read_checkpoint(job: TrialJob) -> bytes | None:
    """The checkpoint to resume from, empty if it cannot be read, or None if there is none."""
    if job.resumes is None:
        return None
    try:
        return Path(job.resumes).read_bytes()
    except OSError:
        return b""


def serialize(model: keras.Model) -> bytes:
    """The model as the bytes of a .keras file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


_opened: dict[tuple[DataHandle, bool | None], Data] = {}


def open_data(handle: DataHandle, in_memory: bool | None = None) -> Data:
    """The data set, opened once per process and kept until another replaces it.

    Its images are tensors in memory. If they need more than this core's share of half the machine's memory, they are arrays
    mapped from their files; `in_memory`, if given, decides instead.
    """
    import psutil
    import tensorflow as tf

    from ...models.training.fit import Data
    from ..system import memory

    if (handle, in_memory) not in _opened:
        _opened.clear()
        names = ("train_images", "train_labels", "val_images", "val_labels")
        arrays = {name: np.load(Path(handle.folder) / f"{name}.npy", mmap_mode="r") for name in names}
        size = sum(array.nbytes for array in arrays.values())
        held = size <= memory.measure_total() / 2 / (psutil.cpu_count() or 1) if in_memory is None else in_memory
        parts = {name: tf.constant(a) if held or name.endswith("labels") else a for name, a in arrays.items()}
        _opened[handle, in_memory] = Data(**parts, num_classes=handle.num_classes)
    return _opened[handle, in_memory]
