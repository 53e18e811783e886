"""Build a study's model once, to find what would fail in every trial, notes for the screen, and its precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...models.errors import ModelError
from ...models.factory import BUILT_IN, digest, find, resolve
from ...models.outputs import ADDED
from ...models.references import is_file
from ...models.training.options import TrainOptions
from ...search.study.spec import StudySpec
from ..errors import RunError
from .failure import explain_no_room, lacks_room
from .job import TrialJob
from .process import at_work
from .run import build, build_after, convert_to_float32, serialize
from .saved_model import explain_refusal

if TYPE_CHECKING:
    import keras

UNSCALED = "the model takes the images as they are, 0 to 255, and nothing in it scales them: was it written for 0 to 1?"
LOGITS = "the model ends in logits: Tailor adds a softmax, so that its outputs are probabilities"
OWN_COMPILE = "the model is compiled: its own optimizer and loss train it"
OWN_STEP = "the model has a custom train_step or compute_loss: Keras trains it, batch by batch, which is slower"


@dataclass(frozen=True)
class Preflight:
    """What one build of the model shows: the precision to train in, and a line for the screen if there is something to note."""

    precision: str
    note: str = ""
    first: Mapping[str, Any] = field(default_factory=dict)  # the values that the factory lets a search begin with
    code: str = ""  # the SHA-256 of a custom model's file
    promotable: bool = True
    compiled: bool = False  # its own optimizer trains it


def list_losses(spec: StudySpec) -> dict[str, str]:
    """Every loss that the study file or its space may give a trial, each with the field that names it."""
    values = [("training", spec.training), *((spec.source.field, one) for one in spec.source.samples())]
    return {str(one["loss"]): f"{field}.loss" for field, one in values if "loss" in one}


def inspect_model(job: TrialJob, losses: Mapping[str, str] = {}) -> Preflight:
    """Build the job's model, save it, load it, and drop it; check each of the losses, by its field, and the job's own.

    Raises ModelError for what would fail in every trial, or in each with one of the losses.
    """
    with at_work(job):
        return _inspect(job, losses)


def _inspect(job: TrialJob, others: Mapping[str, str]) -> Preflight:
    from ...models.compiled import has_scaling
    from ...models.training import keras_step, losses
    from ...models.training.optimizers import is_config

    model, options = build(job)
    named = {options.loss: losses.FIELD, **others}
    for loss, where in named.items():
        losses.check(loss, job.data.num_classes, where)
    exported = convert_to_float32(job, model)
    saved = _save(job, exported)
    if job.model not in BUILT_IN:  # the next trial's model must not begin with what this one would learn
        build_after(job, [(layer.name, weight) for layer in model.layers for weight in layer.trainable_weights])
    notes = [UNSCALED] if job.declared is not None and not has_scaling(model) else []
    if model.layers[-1].name == ADDED:
        notes.append(LOGITS)
    if job.declared is None and is_config(options):
        notes.append(OWN_COMPILE)
    if why := explain_refusal(exported, saved, find(job.model)[1] if is_file(job.model) else None):
        notes.append(f"its models can be searched, but not promoted: {why}")
    if keras_step.has_custom_step(model):
        for loss in named:
            keras_step.check(replace(options, loss=loss))
        notes.append(OWN_STEP)
    precision = _choose_precision(job, model, options)
    if precision != "float32" and options.precision == "auto":
        notes.append(f"precision: {precision}, measured to be faster for this model on this machine")
    first = {} if job.declared is not None else resolve(job.model).first
    return Preflight(precision, "; ".join(notes), first, digest(job.model), promotable=not why, compiled=is_config(options))


def _save(job: TrialJob, model: keras.Model) -> bytes:
    try:
        return serialize(model)
    except Exception as error:
        if lacks_room(error):
            raise RunError(f"{explain_no_room(error)}.") from error
        said = (str(error).strip().splitlines() or [""])[0][:300]
        raise ModelError(f"model {job.model!r}: it cannot be saved ({said}); give each custom layer a get_config.") from error


def _choose_precision(job: TrialJob, model: keras.Model, options: TrainOptions) -> str:
    from ...models.training.keras_step import has_custom_step
    from ...models.training.precision import choose_precision

    if options.precision != "auto":
        return options.precision
    if has_custom_step(model):
        return "float32"
    return choose_precision(lambda policy: build(job, policy)[0], options, job.data.num_classes)
