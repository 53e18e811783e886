"""Fit one model: epochs of units of about two seconds, with early stopping, the best epoch's weights kept, and reports."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import keras
import numpy as np
import tensorflow as tf

from ..errors import ModelError
from .batches import Stretch, stretches
from .checkpoint import Course, pack, unpack
from .clone import copy
from .keras_step import program_of
from .options import TrainOptions
from .program import Predictions, Program, Totals

T = TypeVar("T")
UNIT_SECONDS = 2.0
FIRST_UNIT = 32  # steps, to learn how long one takes


class NonFiniteLoss(ArithmeticError):
    """The loss became NaN or infinite; the message says in which epoch."""


@dataclass(frozen=True)
class Data:
    """uint8 images (n, height, width, channels) and int64 labels (n,), for training and validation.

    Tensors are resident; images may be numpy arrays mapped from a file instead, which are streamed.
    """

    train_images: tf.Tensor | np.ndarray
    train_labels: tf.Tensor
    val_images: tf.Tensor | np.ndarray
    val_labels: tf.Tensor
    num_classes: int


@dataclass(frozen=True)
class FitPlan:
    """What one fit is asked for: epochs, the seed of everything random, and the metric that says which epoch is best.

    A model that had `epochs_done` of the epochs before goes on with the next, in order, schedule and count.
    """

    epochs: int
    seed: int
    monitor: str = "val_accuracy"
    maximize: bool = True
    epochs_done: int = 0


@dataclass(frozen=True)
class Line:
    """A fit's line outwards, and the checkpoint that it goes on from.

    `report(epoch, metrics)` answers True to stop; `between()` is called between units. `save` takes a checkpoint, every
    `save_seconds` and when one of the two raises. `replay` is told the epochs that the checkpoint brings; `anew()` is called
    where it cannot be gone on from.
    """

    report: Callable[[int, Mapping[str, float]], bool] = lambda epoch, metrics: False
    between: Callable[[], None] = lambda: None
    replay: Callable[[int, Mapping[str, float]], None] = lambda epoch, metrics: None
    save: Callable[[bytes], None] = lambda checkpoint: None
    save_seconds: float = math.inf
    checkpoint: bytes | None = None
    anew: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Fitted:
    """What a fit did. `history` has one mapping of metrics an epoch; the model holds the weights of `best_epoch` (from 1)."""

    history: tuple[Mapping[str, float], ...]
    best: Mapping[str, float]  # of the best epoch
    best_epoch: int
    pruned: bool
    validation: Predictions
    seconds: float
    samples: int
    latency_ms: float  # of one image, median


def fit(model: keras.Model, data: Data, options: TrainOptions, plan: FitPlan, line: Line = Line()) -> Fitted:
    """Train `model` in place. Raises NonFiniteLoss, ModelError for a monitor not measured, and what the line raises."""
    steps = (plan.epochs - plan.epochs_done) * math.ceil(int(data.train_images.shape[0]) / options.batch_size)
    program = program_of(model, options, data.num_classes, steps)
    program.load(model, options, plan.seed, class_weights(data) if options.class_weight == "balanced" else None)
    course = None
    if line.checkpoint is not None and (course := unpack(line.checkpoint, program, repr((plan, options)))) is None:
        line.anew()
    course = course or Course(plan.epochs_done + 1)
    trainer = _Trainer(program, data, options, plan, line)
    pruned = trainer.run(course)
    for variable, value in zip(program.model.weights, course.best_weights, strict=True):
        variable.assign(value)
    if model is not program.model:
        copy(program.model, model)
    assert course.best is not None and course.validation is not None  # there is at least one epoch
    return Fitted(
        history=tuple(course.history),
        best=course.best,
        best_epoch=course.best_epoch,
        pruned=pruned,
        validation=course.validation,
        seconds=course.seconds,
        samples=len(course.history) * int(data.train_images.shape[0]),
        latency_ms=latency_ms(program, data),
    )


def latency_ms(program: Program, data: Data) -> float:
    """The median time of 20 predictions of one image, in milliseconds."""
    times = []
    for _ in range(20):
        begun = time.perf_counter()
        program.evaluate(data.val_images[:1], data.val_labels[:1])
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def class_weights(data: Data) -> np.ndarray:
    """Weights that make the classes count alike, shaped (classes,): n / (classes * count), as scikit-learn's "balanced"."""
    counts = np.bincount(data.train_labels.numpy(), minlength=data.num_classes)
    return (counts.sum() / (data.num_classes * np.maximum(counts, 1))).astype("float32")


class _Trainer:
    """One fit's epochs."""

    def __init__(self, program: Program, data: Data, options: TrainOptions, plan: FitPlan, line: Line) -> None:
        self.program, self.data, self.options, self.plan, self.line = program, data, options, plan, line
        self.count = int(data.train_images.shape[0])
        self.schedule = program.optimizer._learning_rate
        self.schedule.set(options, math.ceil(self.count / options.batch_size), plan.epochs, plan.epochs_done)
        self.unit = FIRST_UNIT
        self.saved = time.monotonic()

    def run(self, course: Course) -> bool:
        """Train from where the course is to its end; answers whether a report asked to stop."""
        told = len(course.history) - (course.step == 0)  # the last epoch's answer may not have come
        for past in range(max(0, told)):
            self.line.replay(self.plan.epochs_done + past + 1, course.history[past])
        if course.history and course.step == 0 and (stop := self._judged(course)) is not None:
            return stop
        while course.epoch <= self.plan.epochs:
            self._epoch(course)
            if (stop := self._judged(course)) is not None:
                return stop
        return False

    def _judged(self, course: Course) -> bool | None:
        """Report the last epoch: True where the answer asks to stop, False where early stopping does, None to go on."""
        if self._outward(lambda: self.line.report(course.epoch - 1, course.history[-1]), course):
            return True
        return False if _stalled(course.history, self.plan, self.options) else None

    def _epoch(self, course: Course) -> None:
        """Train what is left of an epoch and evaluate; the order of the images is a function of (seed, epoch)."""
        order = np.random.default_rng([self.plan.seed, course.epoch]).permutation(self.count).astype("int32")
        rate = float(self.schedule(self.program.optimizer.iterations.value - course.step))
        batch = self.program.batch_size
        for stretch in stretches(self.data.train_images, self.data.train_labels, order[course.step * batch :], batch):
            self._stretch(stretch, course)
        begun = time.perf_counter()
        validation = self.program.evaluate(self.data.val_images, self.data.val_labels)
        if not math.isfinite(validation.loss):
            raise NonFiniteLoss(f"the validation loss is {validation.loss} in epoch {course.epoch}; lower the learning rate")
        metrics = {
            "train_loss": course.totals.loss / course.totals.seen,
            "train_accuracy": course.totals.correct / course.totals.seen,
            "val_loss": validation.loss,
            "val_accuracy": validation.accuracy,
            "learning_rate": rate,
        }
        if math.isnan(metrics[self.plan.monitor]):
            raise ModelError(f"{self.plan.monitor}: the model's own step returns none: it is no objective; take val_accuracy")
        course.history.append(metrics)
        if course.best is None or _improves(metrics, course.best, self.plan, 0.0):
            course.best, course.best_epoch, course.validation = metrics, course.epoch, validation
            course.best_weights = [variable.numpy() for variable in self.program.model.weights]
        course.epoch, course.step, course.totals = course.epoch + 1, 0, Totals()
        course.seconds += time.perf_counter() - begun

    def _stretch(self, stretch: Stretch, course: Course) -> None:
        step, end = 0, math.ceil(int(stretch.order.shape[0]) / self.program.batch_size)
        while step < end:
            steps = range(step, min(step + self.unit, end))
            begun = time.perf_counter()
            course.totals += self.program.train(*stretch, steps)
            if not math.isfinite(course.totals.loss):
                raise NonFiniteLoss(
                    f"the loss is {course.totals.loss} in epoch {course.epoch}; lower the learning rate or clip the gradients"
                )
            seconds = time.perf_counter() - begun
            self.unit = _next_unit(len(steps), seconds)
            course.seconds += seconds
            course.step += len(steps)
            step = steps.stop
            self._outward(self.line.between, course)
            if time.monotonic() - self.saved >= self.line.save_seconds:
                self._save(course)

    def _outward(self, call: Callable[[], T], course: Course) -> T:
        """Make a call of the line's. Where it raises, what was trained is saved first."""
        try:
            return call()
        except Exception:
            self._save(course)
            raise

    def _save(self, course: Course) -> None:
        self.line.save(pack(course, self.program, repr((self.plan, self.options))))
        self.saved = time.monotonic()


def _next_unit(steps: int, seconds: float) -> int:
    """How many steps to run at once so that they take UNIT_SECONDS, growing at most fourfold: a first unit traces too."""
    return max(1, min(4 * steps, int(steps * UNIT_SECONDS / max(seconds, 1e-6))))


def _improves(metrics: Mapping[str, float], best: Mapping[str, float], plan: FitPlan, min_delta: float) -> bool:
    gain = metrics[plan.monitor] - best[plan.monitor]
    return (gain if plan.maximize else -gain) > min_delta


def _stalled(history: list[Mapping[str, float]], plan: FitPlan, options: TrainOptions) -> bool:
    """Whether early stopping ends the fit now: the rule of keras.callbacks.EarlyStopping."""
    rule = options.early_stopping
    if rule is None:
        return False
    best, since = history[0], 0
    for metrics in history[1:]:
        since += 1
        if _improves(metrics, best, plan, rule.min_delta):
            best, since = metrics, 0
    return since >= rule.patience
