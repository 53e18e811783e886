"""The size and speed of a space's smallest and largest model, measured on a few steps, each in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from ...models.errors import ModelError
from ...search.engines.protocol import Suggestion
from ...search.space.describe import describe_value
from ...search.study.capabilities import LISTED, count_trials, list_first
from ...search.study.spec import StudySpec
from ..datasets.splits import DataHandle, Splits
from ..errors import InputError, RunError
from ..system.cpus import count_cores
from ..system.words import count
from ..trials.evaluator import Evaluator
from ..trials.failure import advise, describe_error
from ..trials.job import TrialJob, make_job
from ..trials.preflight import Preflight, inspect_model, list_losses
from ..trials.process import at_work
from ..trials.run import build
from .ends import search_ends
from .initial_points import add_defaults
from .resolve import find_ends, takes_any

if TYPE_CHECKING:
    import keras

T = TypeVar("T")

STEPS, ROUNDS = 5, 3  # the shortest round counts: what else the machine does comes and goes
GUESS = "float32"  # the precision in which the largest model is measured while that of the study is found
SLOW = 0.1  # seconds a step, from which on one step is timed


class _CodeFails(Exception):
    """The model's code raised an error; the message says when, names it and its line."""


@dataclass(frozen=True)
class Size:
    """One model: its values, its parameters, the memory to train it without the data, and its speed on one core."""

    values: Mapping[str, Any]
    parameters: int
    megabytes: float
    batch_ms: float
    epoch_seconds: float


@dataclass(frozen=True)
class Estimate:
    """A study's size: its splits, its smallest and largest model, and the least and most seconds of the search."""

    splits: Mapping[str, int]
    points: str
    trials: int
    workers: int
    smallest: Size
    largest: Size
    search_seconds: tuple[float, float]
    note: str  # what a search prints when it starts
    begins: Mapping[str, Any]  # the first trial's values; what is left out, the sampler chooses
    failing: Sequence[str] = ()  # a line for each text with which the smallest model cannot be built, and for a larger one
    unread: Sequence[str] = ()  # hyperparameters that the custom factory asked for in none of the models measured


def estimate(spec: StudySpec, splits: Splits) -> Estimate:
    """Measure the smallest and the largest model. Raises InputError if one cannot be built or trained."""
    trials, described = count_trials(spec), spec.source.describe()
    if spec.search.sampler.name in LISTED:
        described = f"{spec.search.sampler.name} of {count(len(list_first(spec)), 'point')}"
    with ThreadPoolExecutor(1) as beside, Evaluator(threads=1) as one, Evaluator(threads=1) as other:
        plain, several = find_ends(spec), count_cores() > 1
        small, large = _Meter(one, spec, splits), _Meter(other, spec, splits, GUESS)
        measured = beside.submit(large.measure, plain[1]) if several else None  # as a search trains: one on each core
        found = small.inspect(plain[0])  # as a search's start does; its precision is that of both
        small.precision = found.precision
        if large.set_precision(found.precision, plain[1]) and several:
            measured = beside.submit(large.measure, plain[1])  # the guess was wrong
        large_plain: Callable[[], Size] = measured.result if measured else partial(large.measure, plain[1])
        size = small.measure(plain[0])
        ends = search_ends(spec, plain, small.count)
        least = size if ends.smallest == plain[0] else small.measure_or_note(ends.smallest, lambda: size)
        most = large_plain() if ends.largest == plain[1] else large.measure_or_note(ends.largest, large_plain)
        least, most = sorted((least, most), key=lambda size: size.parameters)
        failing = [*ends.failing, *small.notes, *large.notes]
        unread = sorted((small.given | large.given) - small.read - large.read)
    begins = next(iter(list_first(add_defaults(spec, found.first))), {})
    workers = spec.workers.count or count_cores()
    seconds = [_count_epochs(spec, trials, workers, size) * size.epoch_seconds for size in (least, most)]
    took = (min(seconds), max(seconds))
    return Estimate(splits.sizes, described, trials, workers, least, most, took, found.note, begins, failing, unread)


def _count_epochs(spec: StudySpec, trials: int, workers: int, size: Size) -> float:
    """The most epochs that a worker trains. When a budget is spent, the trials that run then still end whole."""
    search = spec.search
    most = [float(math.ceil(trials / workers) * search.max_epochs)]
    if search.total_epochs is not None:
        most.append(math.ceil(search.total_epochs / workers) + search.max_epochs)
    if search.timeout is not None:
        most.append(search.timeout / size.epoch_seconds + search.max_epochs)
    return min(most)


class _Meter:
    """Builds and measures a study's models in one evaluator's process, in its precision where the values leave that open."""

    def __init__(self, evaluator: Evaluator, spec: StudySpec, splits: Splits, precision: str = "auto") -> None:
        self.notes = list[str]()
        self.given, self.read = set[str](), set[str]()  # names given to a custom factory, and asked for by it
        self.precision = precision
        self._evaluator, self._spec, self._images = evaluator, spec, len(splits.train)
        self._inspected: Mapping[str, Any] | None = None  # the values of the last model that a search does not refuse
        height, width, channels = splits.train.images.shape[1:]
        self._data = DataHandle("", (height, width, channels), len(splits.class_names))

    def set_precision(self, precision: str, values: Mapping[str, Any]) -> bool:
        """Take another precision from now on; whether the model of these values trains otherwise in it."""
        before, self.precision = self._make_job(values).values, precision
        return before != self._make_job(values).values

    def inspect(self, values: Mapping[str, Any]) -> Preflight:
        """What a search's start finds of the model. Raises InputError if it cannot be built, ModelError if it is refused."""
        found = self._call(partial(_inspect, losses=list_losses(self._spec)), values)
        self._inspected = values
        return found

    def measure(self, values: Mapping[str, Any]) -> Size:
        """Raises InputError if the model cannot be built or trained, ModelError if a search refuses it."""
        if values != self._inspected:
            self.inspect(values)
        measured = self._call(_measure, values)
        if takes_any(self._spec):
            given, read = self._evaluator.call(_list_read, self._make_job(values))
            self.given.update(given)
            self.read.update(read)
        return _size(values, *measured, images=self._images)

    def measure_or_note(self, values: Mapping[str, Any], measure_plain: Callable[[], Size]) -> Size:
        """The size of the model with other values than the plain ones; if it fails, a note of that, and the plain one's size."""
        try:
            return self.measure(values)
        except InputError as error:
            plain = measure_plain()
            self.notes.append(str(error))
            return plain

    def count(self, values: Mapping[str, Any]) -> int | str:
        """The model's parameters, or why it cannot be built."""
        return self._evaluator.call(_count, self._make_job(values))

    def _call(self, function: Callable[[TrialJob], T], values: Mapping[str, Any]) -> T:
        try:
            return self._evaluator.call(function, self._make_job(values))
        except _CodeFails as error:
            shown = describe_value(values) or "its defaults"
            raise InputError(f"model {self._spec.model!r} with {shown} cannot be {error}") from error

    def _make_job(self, values: Mapping[str, Any]) -> TrialJob:
        return make_job(self._spec, Suggestion(0, values, 1), 0, self._data, self.precision)


def _count(job: TrialJob) -> int | str:
    """The parameters of the job's model, or why it cannot be built."""
    try:
        with at_work(job):
            return int(build(job)[0].count_params())
    except Exception as error:  # a traceback cannot cross to the other process
        return describe_error(error)


def _list_read(job: TrialJob) -> tuple[set[str], set[str]]:
    """The job's hyperparameters, and the names that the factory asked for; nothing if the factory fails this time."""
    from ...models.factory import resolve
    from ...models.reads import list_read
    from ...models.training.options import split

    _, hparams = split(job.values)
    with at_work(job), suppress(Exception):  # it was built before: what fails only now is no reason to stop
        return set(hparams), list_read(resolve(job.model), hparams, (job.data.input_shape, job.data.num_classes))
    return set(), set()


def _size(values: Mapping[str, Any], parameters: int, numbers: int, batch: int, seconds: float, images: int) -> Size:
    # Weights, their gradients and two optimizer slots; activations once forwards and once backwards; 4 bytes each.
    megabytes = 4 * (4 * parameters + 2 * batch * numbers) / 1e6
    return Size(values, parameters, megabytes, 1000 * seconds, seconds * math.ceil(images / batch))


def _inspect(job: TrialJob, losses: Mapping[str, str]) -> Preflight:
    """What a search's start finds of the job's model. Raises ModelError if a search refuses the model."""
    try:
        return inspect_model(job, losses)
    except (ModelError, InputError, RunError):
        raise
    except Exception as error:  # an error of the user's code; a traceback cannot cross to the other process
        said = describe_error(error)
        raise _CodeFails(f"built: {said}{advise(said)}") from error


def _measure(job: TrialJob) -> tuple[int, int, int, float]:
    """The parameters of the job's model, numbers in one image's activations, batch size, and seconds a step on random images."""
    import time

    import numpy as np
    import tensorflow as tf

    from ...models.training.keras_step import choose_program
    from ...models.training.records import TrialValues

    with at_work(job):
        model, options = build(job)
    rng = np.random.default_rng(0)
    count = STEPS * options.batch_size
    images = tf.constant(rng.integers(0, 256, (count, *job.data.input_shape), dtype="uint8"))
    labels = tf.constant(rng.integers(0, job.data.num_classes, count))
    program = choose_program(model, options, job.data.num_classes)
    program.load(model, TrialValues(options))
    order = tf.range(count)
    try:
        program.train(images, labels, order, range(0, 1))  # traces
    except Exception as error:  # of a layer that fails only in training
        raise _CodeFails(f"trained: {describe_error(error)}") from error

    def time_steps(steps: int) -> float:
        begun = time.perf_counter()
        program.train(images, labels, order, range(0, steps))
        return (time.perf_counter() - begun) / steps

    seconds = time_steps(1)
    if seconds < SLOW:
        seconds = min(time_steps(STEPS) for _ in range(ROUNDS))
    return model.count_params(), activations(model), options.batch_size, seconds


def activations(model: keras.Model) -> int:
    """The number of outputs of all layers for one image; a layer may have several outputs."""
    import keras

    outputs = keras.tree.flatten([layer.output for layer in model.layers if hasattr(layer, "output")])
    return sum(math.prod(d for d in output.shape if d) for output in outputs)
