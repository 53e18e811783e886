"""Runs in the evaluator's process: prunes a saved model while it trains on, or distils it into a student. Knows no store."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...models.errors import ModelError
from ..errors import RunError
from ..trials.failure import describe_error
from ..trials.job import TrialJob
from ..trials.process import at_work
from ..trials.run import build, open_data, serialize
from ..trials.saved_model import SavedModel, load_model

if TYPE_CHECKING:
    import keras

    from ...models.training.options import TrainOptions
    from ...models.training.program import Program
    from ...models.training.random import Clock


class Diverged(RunError):
    """The loss of a variant's training became no number; the message says what to lower."""


@dataclass(frozen=True)
class Made:
    """A trained variant: the bytes of its .keras file, and its epochs."""

    keras: bytes
    history: tuple[Mapping[str, float], ...] = ()
    best_epoch: int = 0


@dataclass(frozen=True)
class Pruning:
    """Prune to the `sparsity` at `rate` times the trial's learning rate, in the first half of the steps.

    The layers that were frozen in the last of the trial's epochs, which are `trained`, stay so, and the rate is that epoch's.
    """

    sparsity: float
    rate: float
    trained: int


def prune(saved: SavedModel, job: TrialJob, plan: Pruning) -> Made:
    """Prune a model and train it on, by the options of the job, for its epochs. Raises Diverged."""
    from ...models.training.freezing import find_phase, list_phases
    from ...models.training.pruning import PruningProgram

    with at_work(job):
        _, options = build(job)
        phases = list_phases(options)
        phase = phases[find_phase(phases, plan.trained)]
        steps = math.ceil(int(open_data(job.data, job.in_memory).train_images.shape[0]) / options.batch_size)
        ramp = max(1, steps * job.epochs // 2)

        def make(model: keras.Model, clock: Clock, options: TrainOptions) -> Program:
            return PruningProgram(model, clock, options, job.data.num_classes, (plan.sparsity, ramp, phase.frozen))

        with _advising("lower --rate"):
            return _train(load_model(saved), job, options, make, plan.rate * phase.factor, first=math.ceil(ramp / steps))


def distil(teacher: SavedModel, jobs: tuple[TrialJob, TrialJob], plan: tuple[float, float]) -> Made:
    """Train a student by a teacher: `jobs` are (the student's, the teacher's), whose options train both.

    `plan` is (temperature, alpha). Raises Diverged.
    """
    from ...models.training.distillation import Distillation, DistillationProgram

    job, options = jobs[0], _read_options(jobs[1])
    with at_work(job):
        student, _ = build(job)
        loaded = load_model(teacher)

        def make(model: keras.Model, clock: Clock, options: TrainOptions) -> Program:
            return DistillationProgram((model, loaded), clock, options, job.data.num_classes, Distillation(*plan))

        with _advising("lower --temperature or --alpha, or take another --student"):
            return _train(student, job, dataclasses.replace(options, label_smoothing=0.0), make)


def try_to_build(job: TrialJob) -> str:
    """Build the job's model once, for nothing; why that fails, empty if it does not."""
    try:
        with at_work(job):
            build(job)
    except Exception as error:  # of Keras, by its layers' own rules
        return str(error) if isinstance(error, ModelError) else describe_error(error)
    return ""


def measure_zeros(saved: SavedModel) -> tuple[float, int]:
    """The sparsity of a saved model, and the parameters that are not 0."""
    from ...models.training.pruning import count_nonzero, measure_sparsity

    model = load_model(saved)
    return measure_sparsity(model), count_nonzero(model)


@contextmanager
def _advising(advice: str) -> Iterator[None]:
    """Inside the block a loss that is no number raises Diverged, with that advice."""
    from ...models.training.trainer import NonFiniteLoss

    try:
        yield
    except NonFiniteLoss as error:
        raise Diverged(f"{error}; {advice}") from error


def _read_options(job: TrialJob) -> TrainOptions:
    with at_work(job):
        return build(job)[1]


def _train(
    model: keras.Model,
    job: TrialJob,
    options: TrainOptions,
    make: Callable[[keras.Model, Clock, TrainOptions], Program],
    factor: float = 1.0,
    first: int = 1,
) -> Made:
    from ...models.training.clone import clone_or_keep
    from ...models.training.fit import balance_classes
    from ...models.training.freezing import Freezer
    from ...models.training.plateau import PLATEAU
    from ...models.training.records import TrialValues
    from ...models.training.seeding import seed_all
    from ...models.training.tuning import tune

    data = open_data(job.data, job.in_memory)
    # The masks are of the weights themselves; and a rate that follows validation needs longer than these few epochs.
    schedule = "cosine" if options.schedule == PLATEAU else options.schedule
    options = dataclasses.replace(options, ema=0.0, schedule=schedule)
    weights = balance_classes(data) if options.class_weight == "balanced" else None
    steps = math.ceil(int(data.train_images.shape[0]) / options.batch_size)
    with seed_all(job.seed):
        freezer = Freezer(model)
        program = make(*clone_or_keep(model), options)
        values = TrialValues(options, job.seed, steps, job.epochs, class_weight=weights, factor=factor)
        tuned = tune(program, model, data, values, first)
        freezer.release()  # a model that cannot be cloned was frozen itself
    return Made(serialize(model), tuned.history, tuned.best_epoch)
