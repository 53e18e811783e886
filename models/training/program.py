"""A compiled program: a model, its optimizer and the graphs that train and evaluate it over resident tensors."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.training import optimizers
from models.training.options import TrainOptions
from models.training.twin import Clock, copy, set_rates, signature, twin

EVALUATION_BATCH = 1000
KEPT_PROGRAMS = 8
_VALUES = ("learning_rate", "warmup_epochs", "label_smoothing", "weight_decay", "early_stopping")  # set after tracing


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
    """The graphs for one architecture, batch size and set of rules; the values of a trial are loaded before each fit."""

    def __init__(self, model: keras.Model, clock: Clock, options: TrainOptions, num_classes: int) -> None:
        self.model = model
        self.clock = clock
        self.batch_size = options.batch_size
        self.optimizer = optimizers.make(options)
        self.optimizer.build(model.trainable_variables)
        self.soft = options.label_smoothing > 0
        self.smoothing = tf.Variable(0.0, trainable=False)
        self.class_weight = tf.Variable(tf.ones(num_classes), trainable=False)
        self.weighted = options.class_weight != "none"
        self.num_classes = num_classes
        if options.weight_decay:
            self.optimizer.weight_decay = tf.Variable(0.0, trainable=False)
        self._train = tf.function(self._train_steps)
        image = tf.TensorSpec([None, *model.inputs[0].shape[1:]], tf.uint8)
        self._evaluate = tf.function(self._evaluate_batch, input_signature=[image, tf.TensorSpec([None], tf.int64)])

    def load(self, model: keras.Model, options: TrainOptions, seed: int, class_weight: np.ndarray | None) -> None:
        """Take a fresh model's weights and Dropout rates and a trial's values; the optimizer starts anew."""
        if model is not self.model:
            copy(model, self.model)
            set_rates(model, self.model)
        for variable in self.optimizer.variables:
            variable.assign(tf.zeros_like(variable.value))
        self.clock.seed.assign(seed % (2**31))
        self.smoothing.assign(options.label_smoothing)
        if options.weight_decay:
            self.optimizer.weight_decay.assign(options.weight_decay)
        if class_weight is not None:
            self.class_weight.assign(class_weight)

    def train(self, images: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, steps: range) -> Totals:
        """Train on the steps of an epoch whose images stand in `order`; the epoch's last batch may be short."""
        loss, correct = self._train(images, labels, order, tf.constant(steps.start), tf.constant(steps.stop))
        size = min(steps.stop * self.batch_size, int(order.shape[0])) - steps.start * self.batch_size
        return Totals(float(loss), float(correct), size)

    def evaluate(self, images: tf.Tensor, labels: tf.Tensor) -> Predictions:
        """Loss (plain cross-entropy, mean), accuracy and predictions on resident images."""
        count = int(images.shape[0])
        total, predicted, confidence = 0.0, [], []
        for start in range(0, count, EVALUATION_BATCH):
            stop = min(start + EVALUATION_BATCH, count)
            loss, best, sure = self._evaluate(images[start:stop], labels[start:stop])
            total += float(loss)
            predicted.append(best.numpy())
            confidence.append(sure.numpy())
        guesses = np.concatenate(predicted)
        return Predictions(total / count, float(np.mean(guesses == labels.numpy())), guesses, np.concatenate(confidence))

    def _train_steps(self, images: Any, labels: Any, order: Any, start: Any, stop: Any) -> tuple[tf.Tensor, tf.Tensor]:
        loss_sum, correct_sum = tf.constant(0.0), tf.constant(0.0)
        count = tf.shape(order)[0]
        for step in tf.range(start, stop):
            rows = order[step * self.batch_size : tf.minimum((step + 1) * self.batch_size, count)]
            loss, correct = self._step(tf.gather(images, rows), tf.gather(labels, rows))
            loss_sum += loss
            correct_sum += correct
        return loss_sum, correct_sum

    def _step(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        self.clock.step.assign(tf.cast(self.optimizer.iterations.value, tf.int32))
        with tf.GradientTape() as tape:
            outputs = self.model(_as_input(images, self.model), training=True)
            losses = self._losses(labels, outputs)
            loss = tf.reduce_mean(losses)
            if self.model.losses:
                loss += tf.add_n(self.model.losses)
        gradients = tape.gradient(loss, [v.value for v in self.model.trainable_variables])
        self.optimizer.apply(gradients)
        size = tf.cast(tf.shape(labels)[0], tf.float32)
        right = tf.equal(tf.argmax(outputs, axis=-1, output_type=labels.dtype), labels)
        return loss * size, tf.reduce_sum(tf.cast(right, tf.float32))

    def _losses(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        if self.soft:
            hard = tf.one_hot(labels, self.num_classes)
            wanted = hard * (1.0 - self.smoothing) + self.smoothing / self.num_classes
            losses = keras.losses.categorical_crossentropy(wanted, outputs)
        else:
            losses = keras.losses.sparse_categorical_crossentropy(labels, outputs)
        return losses * tf.gather(self.class_weight, labels) if self.weighted else losses

    def _evaluate_batch(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        outputs = self.model(_as_input(images, self.model), training=False)
        losses = keras.losses.sparse_categorical_crossentropy(labels, outputs)
        return tf.reduce_sum(losses), tf.argmax(outputs, axis=-1), tf.reduce_max(outputs, axis=-1)


_programs: OrderedDict[tuple[str, TrainOptions, int], Program] = OrderedDict()


def program_for(model: keras.Model, options: TrainOptions, num_classes: int) -> Program:
    """The program for a fresh model: one seen before where the architecture and rules are the same, else a new one."""
    shape = signature(model)
    if shape is None:
        return Program(model, Clock(), options, num_classes)
    key = (shape, _rules(options), num_classes)
    if key not in _programs:
        _programs[key] = Program(*twin(model), options, num_classes)
        if len(_programs) > KEPT_PROGRAMS:
            _programs.popitem(last=False)
    _programs.move_to_end(key)
    return _programs[key]


def _rules(options: TrainOptions) -> TrainOptions:
    """The options with the values that do not shape the graph blanked; whether a value is 0 does shape it."""
    return dataclasses.replace(
        options,
        learning_rate=0.0,
        warmup_epochs=0.0,
        early_stopping=None,
        label_smoothing=float(options.label_smoothing > 0),
        weight_decay=float(options.weight_decay > 0),
    )


def _as_input(images: tf.Tensor, model: keras.Model) -> tf.Tensor:
    """Images in the type that the model's input declares; uint8 goes in as it is where the model rescales it itself."""
    dtype = getattr(model, "input_dtype", None) or getattr(model.inputs[0], "dtype", "float32") if model.inputs else "float32"
    return images if dtype == "uint8" else tf.cast(images, dtype)
