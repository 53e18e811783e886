"""A compiled program: a model, its optimizer and the graphs that train and evaluate it over resident tensors."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from . import losses, optimizers
from .augmentation import STRENGTHS, Augmentation
from .batches import at_once
from .clone import copy, layers_of, set_values, signature, twin_or_itself
from .options import TrainOptions
from .random import Clock

EVALUATION_BATCH = 1000
KEPT_PROGRAMS = 8
COMPILED_STEPS, COMPILED_STEPS_NARROW = 12_000, 2_000  # a fit this long repays XLA's compilation, of 1 to 3 seconds
NARROW = 100_000  # parameters; below, the time goes into starting operations, and XLA saves most of it
XLA_LAYERS = (
    keras.layers.Rescaling,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.Dense,
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.Dropout,  # its twin
    keras.layers.Add,
    keras.layers.Concatenate,
)


@dataclass(frozen=True)
class Totals:
    """Sums over a number of images: the loss, and how many were classified rightly."""

    loss: float = 0.0
    correct: float = 0.0
    seen: int = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(self.loss + other.loss, self.correct + other.correct, self.seen + other.seen)


@dataclass(frozen=True)
class Predictions:
    """What a model says of n images: labels and their probabilities, shaped (n,), with the loss and accuracy in all."""

    loss: float
    accuracy: float
    labels: np.ndarray
    confidence: np.ndarray


class Program:
    """The graphs for one architecture, batch size and set of rules; the values of a trial are loaded before each fit.

    Batch shapes are static: an epoch's full batches are one graph, its short last batch another, of one step.
    """

    def __init__(self, model: keras.Model, clock: Clock, options: TrainOptions, num_classes: int, compiled: bool) -> None:
        self.model = model
        self.clock = clock
        self.batch_size = options.batch_size
        self.optimizer = optimizers.make(options)
        self.optimizer.build(model.trainable_variables)
        self._fresh = [variable.numpy() for variable in self.optimizer.variables]
        self.augmentation = Augmentation(options, clock)
        self.soft = options.label_smoothing > 0 or self.augmentation.mixes or options.loss != losses.CROSSENTROPY
        self.loss = losses.named(options.loss) if self.soft else keras.losses.sparse_categorical_crossentropy
        self.smoothing = tf.Variable(0.0, trainable=False)
        self.class_weight = tf.Variable(tf.ones(num_classes), trainable=False)
        self.weighted = options.class_weight != "none"
        self.num_classes = num_classes
        if options.weight_decay:
            self.optimizer.weight_decay = tf.Variable(0.0, trainable=False)
        image = tf.TensorSpec([None, *model.inputs[0].shape[1:]], tf.uint8)
        step = tf.TensorSpec([], tf.int32)
        self._signature = (image, tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.int32), step, step)
        self._full = self._compiled(options.batch_size, compiled)
        self._tails: dict[int, Any] = {}  # by size: a data set of another length has another
        self._evaluate = tf.function(self._evaluate_batch, input_signature=[image, tf.TensorSpec([None], tf.int64)])

    def load(self, model: keras.Model, options: TrainOptions, seed: int, class_weight: np.ndarray | None) -> None:
        """Take a fresh model's weights and Dropout rates and a trial's values; the optimizer starts anew."""
        if model is not self.model:
            copy(model, self.model)
            set_values(model, self.model)
        for variable, value in zip(self.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        self.clock.seed.assign(seed)
        self.augmentation.set(options)
        self.smoothing.assign(options.label_smoothing)
        if options.weight_decay:
            self.optimizer.weight_decay.assign(options.weight_decay)
        if class_weight is not None:
            self.class_weight.assign(class_weight)

    def train(self, images: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, steps: range) -> Totals:
        """Train on the steps of an epoch whose images stand in `order`; the epoch's last batch may be short."""
        count = int(order.shape[0])
        full, short = divmod(count, self.batch_size)
        loss, correct = 0.0, 0.0
        if steps.start < min(steps.stop, full):
            part = self._full(images, labels, order, tf.constant(steps.start), tf.constant(min(steps.stop, full)))
            loss, correct = loss + float(part[0]), correct + float(part[1])
        if steps.stop > full:
            if short not in self._tails:
                self._tails[short] = self._compiled(short, False)
            part = self._tails[short](images, labels, order, tf.constant(full), tf.constant(full + 1))
            loss, correct = loss + float(part[0]), correct + float(part[1])
        return Totals(loss, correct, min(steps.stop * self.batch_size, count) - steps.start * self.batch_size)

    def evaluate(self, images: tf.Tensor, labels: tf.Tensor) -> Predictions:
        """Loss (plain cross-entropy, mean), accuracy and predictions on images, resident or mapped."""
        count = int(images.shape[0])
        total, predicted, confidence = 0.0, [], []
        size = at_once(images.shape[1], images.shape[2], EVALUATION_BATCH)
        for start in range(0, count, size):
            stop = min(start + size, count)
            loss, best, sure = self._evaluate(images[start:stop], labels[start:stop])
            total += float(loss)
            predicted.append(best.numpy())
            confidence.append(sure.numpy())
        guesses = np.concatenate(predicted)
        return Predictions(total / count, float(np.mean(guesses == labels.numpy())), guesses, np.concatenate(confidence))

    def _compiled(self, size: int, by_xla: bool) -> Any:
        steps = partial(self._steps, size)
        return tf.function(steps, input_signature=self._signature, autograph=False, jit_compile=by_xla or None)

    def _steps(self, size: int, images: Any, labels: Any, order: Any, start: Any, stop: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Steps start…stop−1 on batches of `size`; sums of loss and of right answers."""

        def body(step: tf.Tensor, loss_sum: tf.Tensor, correct_sum: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            rows = tf.ensure_shape(tf.slice(order, [step * self.batch_size], [size]), [size])
            loss, correct = self._step(tf.gather(images, rows), tf.gather(labels, rows))
            return step + 1, loss_sum + tf.cast(loss * size, tf.float64), correct_sum + correct

        # In float64 a sum of float32 numbers is exact, so that it is the same however an epoch is cut into units.
        begin = (start, tf.constant(0.0, tf.float64), tf.constant(0.0))
        # One iteration at a time: a step reads the variables that the one before it writes.
        return tf.while_loop(lambda step, *_: step < stop, body, begin, parallel_iterations=1)[1:]

    def _step(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        self.clock.tick(self.optimizer.iterations.value)
        images = self.augmentation.images(images)
        targets = self._targets(labels)
        if self.augmentation.mixes:
            images, targets = self.augmentation.mix(images, targets)
            labels = tf.argmax(targets, axis=-1, output_type=labels.dtype)  # what there is most of, as Keras weighs soft labels
        weights = [variable.value for variable in self.model.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            outputs = tf.cast(self.model(_as_input(images, self.model), training=True), tf.float32)
            extra = [tf.cast(tf.reduce_sum(loss), tf.float32) for loss in self.model.losses]
            loss = tf.add_n([tf.reduce_mean(self._weighed(self.loss(targets, outputs), labels)), *extra])
        self.optimizer.apply(tape.gradient(loss, weights))
        right = tf.equal(tf.argmax(outputs, axis=-1, output_type=labels.dtype), labels)
        return loss, tf.reduce_sum(tf.cast(right, tf.float32))

    def _targets(self, labels: tf.Tensor) -> tf.Tensor:
        """The labels, or where they are softened or mixed, one-hot (n, classes) with label smoothing."""
        if not self.soft:
            return labels
        return tf.one_hot(labels, self.num_classes) * (1.0 - self.smoothing) + self.smoothing / self.num_classes

    def _weighed(self, each: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return each * tf.gather(self.class_weight, labels) if self.weighted else each

    def _evaluate_batch(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        outputs = tf.cast(self.model(_as_input(images, self.model), training=False), tf.float32)
        losses = keras.losses.sparse_categorical_crossentropy(labels, outputs)
        return tf.reduce_sum(losses), tf.argmax(outputs, axis=-1), tf.reduce_max(outputs, axis=-1)


_programs: OrderedDict[tuple[str, TrainOptions, int, bool], Program] = OrderedDict()


def program_for(model: keras.Model, options: TrainOptions, num_classes: int, steps: int = 0) -> Program:
    """The program for a fresh model: one seen before where the architecture and rules are the same, else a new one.

    `steps` are those to come in all: XLA's compilation takes a second, which only a longer fit repays.
    """
    shape = signature(model)
    if shape is None:
        return Program(model, Clock(), options, num_classes, compiled=False)
    repaid = steps >= (COMPILED_STEPS_NARROW if model.count_params() <= NARROW else COMPILED_STEPS)
    on_cpu = suits_xla(model) and not any(getattr(options, name) for name in STRENGTHS)
    compiled = repaid and (on_cpu or bool(tf.config.list_logical_devices("GPU")))
    key = (shape, _rules(options), num_classes, compiled)
    if key not in _programs:
        made, clock = twin_or_itself(model)
        if made is model:
            return Program(model, clock, options, num_classes, compiled=False)
        _programs[key] = Program(made, clock, options, num_classes, compiled)
        if len(_programs) > KEPT_PROGRAMS:
            _programs.popitem(last=False)
    _programs.move_to_end(key)
    return _programs[key]


def suits_xla(model: keras.Model) -> bool:
    """Whether XLA speeds the model up on a CPU: dense layers in float32. On convolutions and bfloat16 it is many times slower."""
    return all(type(layer) in XLA_LAYERS and layer.compute_dtype in ("float32", "uint8") for layer in layers_of(model))


def _rules(options: TrainOptions) -> TrainOptions:
    """The options with the values that do not shape the graph blanked; whether a value is 0 does shape it."""
    values: dict[str, Any] = {
        "learning_rate": 0.0,
        "warmup_epochs": 0.0,
        "early_stopping": None,
        **{name: float(getattr(options, name) > 0) for name in ("label_smoothing", "weight_decay", *STRENGTHS)},
    }
    return dataclasses.replace(options, **values)


def _as_input(images: tf.Tensor, model: keras.Model) -> tf.Tensor:
    """Images in the type that the model's input declares; uint8 goes in as it is where the model rescales it itself."""
    return tf.cast(images, model.inputs[0].dtype)
