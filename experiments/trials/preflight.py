"""What a study's model shows once it is built: what would fail in every trial, what to tell a person, and its precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...models.errors import ModelError
from ...models.factory import digest, find, is_file, resolve
from ...models.training.options import TrainOptions
from .job import TrialJob
from .process import at_work
from .run import build, keras_bytes
from .saved_model import refused

if TYPE_CHECKING:
    import keras

UNSCALED = "the model takes the images as they are, 0 to 255, and nothing in it scales them: was it written for 0 to 1?"
OWN_STEP = "the model has a train_step or compute_loss of its own: Keras trains it, batch by batch, which is slower"


@dataclass(frozen=True)
class Preflight:
    """What was found by building the model once: the precision to train in, and a line for the screen where one is due."""

    precision: str
    note: str = ""
    first: Mapping[str, Any] = field(default_factory=dict)  # what the factory says that a search begins with
    code: str = ""  # the SHA-256 of the file of a model of the user's own


def inspected(job: TrialJob) -> Preflight:
    """Build the job's model, save it, load it, and throw it away. Raises ModelError for what no trial could end well with."""
    with at_work(job):
        return _inspected(job)


def _inspected(job: TrialJob) -> Preflight:
    from ...models.keras_tuner.compiled import scales
    from ...models.training import keras_step, losses
    from ...models.training.clone import in_float32

    model, options = build(job)
    losses.named(options.loss)
    exported = in_float32(model)
    saved = _saved(job, exported)
    notes = [UNSCALED] if job.declared is not None and not scales(model) else []
    if why := refused(exported, saved, find(job.model)[1] if is_file(job.model) else None):
        notes.append(f"its models can be searched, but not promoted: {why}")
    if keras_step.has_own_step(model):
        keras_step.check(options)
        notes.append(OWN_STEP)
    precision = _precision(job, model, options)
    if precision != "float32" and options.precision == "auto":
        notes.append(f"precision: {precision}, measured to be faster for this model on this machine")
    first = {} if job.declared is not None else resolve(job.model).first
    return Preflight(precision, "; ".join(notes), first, digest(job.model))


def _saved(job: TrialJob, model: keras.Model) -> bytes:
    try:
        return keras_bytes(model)
    except Exception as error:
        said = (str(error).strip().splitlines() or [""])[0][:300]
        raise ModelError(f"model {job.model!r}: it cannot be saved ({said}); give each layer of its own a get_config.") from error


def _precision(job: TrialJob, model: keras.Model, options: TrainOptions) -> str:
    from ...models.training.keras_step import has_own_step
    from ...models.training.precision import faster

    if options.precision != "auto":
        return options.precision
    if has_own_step(model):
        return "float32"
    return faster(lambda policy: build(job, policy)[0], options, job.data.num_classes)
