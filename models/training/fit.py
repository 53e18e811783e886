"""Fit one model: epochs of units of about two seconds, with early stopping, the best epoch's weights kept, and reports."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from models.training.by_keras import KerasProgram, has_own_step
from models.training.feed import Stretch, stretches
from models.training.options import TrainOptions
from models.training.program import Predictions, Program, Totals, program_for
from models.training.twin import copy

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


def fit(
    model: keras.Model,
    data: Data,
    options: TrainOptions,
    plan: FitPlan,
    report: Callable[[int, Mapping[str, float]], bool] = lambda epoch, metrics: False,
    between: Callable[[], None] = lambda: None,
) -> Fitted:
    """Train `model` in place. `report(epoch, metrics)` answers True to stop; `between()` is called between units.

    Raises NonFiniteLoss, and whatever `between` raises.
    """
    steps = (plan.epochs - plan.epochs_done) * math.ceil(int(data.train_images.shape[0]) / options.batch_size)
    if has_own_step(model):
        program: Program = KerasProgram(model, options, data.num_classes)
    else:
        program = program_for(model, options, data.num_classes, steps)
    program.load(model, options, plan.seed, class_weights(data) if options.class_weight == "balanced" else None)
    trainer = _Trainer(program, data, options, plan, between)
    history: list[Mapping[str, float]] = []
    best, best_epoch, best_weights, best_validation = None, 0, [], None
    pruned, started = False, time.perf_counter()
    for epoch in range(plan.epochs_done + 1, plan.epochs + 1):
        metrics, validation = trainer.epoch(epoch)
        history.append(metrics)
        if best is None or _improves(metrics, best, plan, 0.0):
            best, best_epoch, best_validation = metrics, epoch, validation
            best_weights = [variable.numpy() for variable in program.model.weights]
        pruned = report(epoch, metrics)
        if pruned or _stalled(history, plan, options):
            break
    for variable, value in zip(program.model.weights, best_weights, strict=True):
        variable.assign(value)
    if model is not program.model:
        copy(program.model, model)
    assert best is not None and best_validation is not None  # there is at least one epoch
    samples = len(history) * int(data.train_images.shape[0])
    seconds = time.perf_counter() - started
    return Fitted(tuple(history), best, best_epoch, pruned, best_validation, seconds, samples, latency_ms(program, data))


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

    def __init__(self, program: Program, data: Data, options: TrainOptions, plan: FitPlan, between: Callable[[], None]) -> None:
        self.program, self.data, self.plan, self.between = program, data, plan, between
        self.count = int(data.train_images.shape[0])
        self.steps = math.ceil(self.count / options.batch_size)
        self.schedule = program.optimizer._learning_rate
        self.schedule.set(options, self.steps, plan.epochs, plan.epochs_done)
        self.unit = FIRST_UNIT

    def epoch(self, epoch: int) -> tuple[dict[str, float], Predictions]:
        """Train one epoch (from 1) and evaluate; the order of the images is a function of (seed, epoch)."""
        order = np.random.default_rng([self.plan.seed, epoch]).permutation(self.count).astype("int32")
        rate = float(self.schedule(self.program.optimizer.iterations.value))
        totals = Totals()
        for stretch in stretches(self.data.train_images, self.data.train_labels, order, self.program.batch_size):
            totals += self._stretch(stretch, epoch)
        validation = self.program.evaluate(self.data.val_images, self.data.val_labels)
        if not math.isfinite(validation.loss):
            raise NonFiniteLoss(f"the validation loss is {validation.loss} in epoch {epoch}; lower the learning rate")
        return {
            "train_loss": totals.loss / totals.seen,
            "train_accuracy": totals.correct / totals.seen,
            "val_loss": validation.loss,
            "val_accuracy": validation.accuracy,
            "learning_rate": rate,
        }, validation

    def _stretch(self, stretch: Stretch, epoch: int) -> Totals:
        totals, step = Totals(), 0
        end = math.ceil(int(stretch.order.shape[0]) / self.program.batch_size)
        while step < end:
            steps = range(step, min(step + self.unit, end))
            begun = time.perf_counter()
            totals += self.program.train(*stretch, steps)
            if not math.isfinite(totals.loss):
                raise NonFiniteLoss(f"the loss is {totals.loss} in epoch {epoch}; lower the learning rate or clip the gradients")
            self.unit = _next_unit(len(steps), time.perf_counter() - begun)
            step = steps.stop
            self.between()
        return totals


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
