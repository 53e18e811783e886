"""A compiled program: a model, its optimizer and the graphs that train and evaluate it over resident tensors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from . import losses, optimizers
from .augmentation import Augmentation
from .batches import limit_batch
from .clone import copy_weights, set_values
from .keras_private import get_averages
from .options import TrainOptions
from .random import Clock
from .records import Predictions, Totals, TrialValues
from .schedules import Schedule
from .views import make_views

EVALUATION_BATCH = 1000


class Program:
    """The graphs for one architecture, batch size and set of rules; `load` sets a trial's values before each fit.

    Batch shapes are static: an epoch's full batches have one graph, its short last batch another, of one step.
    """

    def __init__(self, model: keras.Model, clock: Clock, options: TrainOptions, num_classes: int, compiled: bool) -> None:
        self.model = model
        self.clock = clock
        self.batch_size = options.batch_size
        self.schedule = optimizers.make_schedule(options)
        self.optimizer = optimizers.make(options, self.schedule, model)
        self._fresh = [variable.numpy() for variable in self.optimizer.variables]
        self.augmentation = Augmentation(options, clock)
        self.soft = options.label_smoothing > 0 or self.augmentation.mixes or options.loss != losses.CROSSENTROPY
        self.loss = losses.resolve(options.loss) if self.soft else keras.losses.sparse_categorical_crossentropy
        self.smoothing = tf.Variable(0.0, trainable=False)
        self.class_weight = tf.Variable(tf.ones(num_classes), trainable=False)
        self.weighted = options.class_weight != "none"
        self.num_classes = num_classes
        image = tf.TensorSpec([None, *model.inputs[0].shape[1:]], tf.uint8)
        step = tf.TensorSpec([], tf.int32)
        self._signature = (image, tf.TensorSpec([None], tf.int64), tf.TensorSpec([None], tf.int32), step, step)
        self._full = self._compile(options.batch_size, compiled)
        self._tails: dict[int, Any] = {}  # by size: another data set's last batch may have another size
        batch = [image, tf.TensorSpec([None], tf.int64)]
        # Without autograph, as in training: its conversion leaves a file in the temporary folder.
        as_it_is = {"input_signature": batch, "autograph": False}
        self._evaluate = tf.function(partial(self._evaluate_batch, "none"), **as_it_is)
        self._evaluate_views = tf.function(partial(self._evaluate_batch, options.tta), **as_it_is)

    def load(self, model: keras.Model, values: TrialValues) -> None:
        """Take a fresh model's weights and Dropout rates and all of a trial's values; reset the optimizer."""
        options = values.options
        if model is not self.model:
            copy_weights(model, self.model)
            set_values(model, self.model)
        for variable, value in zip(self.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        optimizers.begin(self.optimizer, self.model.trainable_variables)
        self.schedule.set(values)
        self.clock.seed.assign(values.seed)
        self.augmentation.set(options)
        self.smoothing.assign(options.label_smoothing)
        if options.weight_decay:
            self.optimizer.weight_decay.assign(options.weight_decay)
        if options.ema:
            self.optimizer.ema_momentum.assign(options.ema)
        if values.class_weight is not None:
            self.class_weight.assign(values.class_weight)

    @contextmanager
    def average_weights(self) -> Iterator[None]:
        """Inside the block the model has its averaged weights, if the options ask for an average.

        What is no weight to train, such as the running averages of batch normalisation, stays as it is.
        """
        raw = [variable.numpy() for variable in self.model.trainable_variables] if self.optimizer.use_ema else []
        averages = get_averages(self.optimizer) if raw else []
        try:
            for variable, average in zip(self.model.trainable_variables, averages, strict=bool(raw)):
                variable.assign(average)
            yield
        finally:
            for variable, value in zip(self.model.trainable_variables, raw, strict=bool(raw)):
                variable.assign(value)

    def set_rate(self, rate: float) -> None:
        """Set the rate that the schedule starts from, for the steps to come."""
        assert isinstance(self.schedule, Schedule)  # the options of a compiled model's schedule have no `plateau`
        self.schedule.base.assign(rate)

    def find_rate(self, steps_back: int = 0) -> float:
        """The learning rate of the next step, or of one that many steps before it."""
        return float(self.schedule(self.optimizer.iterations.value - steps_back))

    def train(self, images: tf.Tensor, labels: tf.Tensor, order: tf.Tensor, steps: range) -> Totals:
        """Train on the steps of an epoch whose images have this `order`; the epoch's last batch may be short."""
        count = int(order.shape[0])
        full, short = divmod(count, self.batch_size)
        loss, correct = 0.0, 0.0
        if steps.start < min(steps.stop, full):
            part = self._full(images, labels, order, tf.constant(steps.start), tf.constant(min(steps.stop, full)))
            loss, correct = loss + float(part[0]), correct + float(part[1])
        if steps.stop > full:
            if short not in self._tails:
                self._tails[short] = self._compile(short, False)
            part = self._tails[short](images, labels, order, tf.constant(full), tf.constant(full + 1))
            loss, correct = loss + float(part[0]), correct + float(part[1])
        return Totals(loss, correct, min(steps.stop * self.batch_size, count) - steps.start * self.batch_size)

    def evaluate(self, images: tf.Tensor, labels: tf.Tensor, views: bool = False) -> Predictions:
        """Loss (plain cross-entropy, mean), accuracy and predictions on images, resident or mapped.

        With `views`, predictions are averaged over the views of each image that the options ask for.
        """
        count = int(images.shape[0])
        total, predicted, confidence = 0.0, [], []
        size = limit_batch(images.shape[1], images.shape[2], EVALUATION_BATCH)
        for start in range(0, count, size):
            stop = min(start + size, count)
            evaluate = self._evaluate_views if views else self._evaluate
            loss, best, sure = evaluate(images[start:stop], labels[start:stop])
            total += float(loss)
            predicted.append(best.numpy())
            confidence.append(sure.numpy())
        guesses = np.concatenate(predicted)
        return Predictions(total / count, float(np.mean(guesses == labels.numpy())), guesses, np.concatenate(confidence))

    def measure_losses(self, images: tf.Tensor, targets: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """The loss of each image, shaped (n,), from the augmented images, their targets and the model's outputs."""
        return self.loss(targets, outputs)

    def _compile(self, size: int, by_xla: bool) -> Any:
        steps = partial(self._steps, size)
        return tf.function(steps, input_signature=self._signature, autograph=False, jit_compile=by_xla or None)

    def _steps(self, size: int, images: Any, labels: Any, order: Any, start: Any, stop: Any) -> tuple[tf.Tensor, tf.Tensor]:
        """Steps start…stop−1 on batches of `size`; returns the sums of loss and of right answers."""

        def body(step: tf.Tensor, loss_sum: tf.Tensor, correct_sum: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            rows = tf.ensure_shape(tf.slice(order, [step * self.batch_size], [size]), [size])
            loss, correct = self._step(tf.gather(images, rows), tf.gather(labels, rows))
            return step + 1, loss_sum + tf.cast(loss * size, tf.float64), correct_sum + correct

        # In float64 a sum of float32 numbers is exact, so it does not depend on how an epoch is cut into units.
        begin = (start, tf.constant(0.0, tf.float64), tf.constant(0.0))
        # One iteration at a time: a step reads the variables that the one before it writes.
        return tf.while_loop(lambda step, *_: step < stop, body, begin, parallel_iterations=1)[1:]

    def _step(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        self.clock.tick(self.optimizer.iterations.value)
        images = self.augmentation.transform(images)
        targets = self._targets(labels)
        if self.augmentation.mixes:
            images, targets = self.augmentation.mix(images, targets)
            labels = tf.argmax(targets, axis=-1, output_type=labels.dtype)  # the largest share, as Keras weighs soft labels
        weights = [variable.value for variable in self.model.trainable_variables]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            outputs = tf.cast(self.model(cast_input(images, self.model), training=True), tf.float32)
            extra = [tf.cast(tf.reduce_sum(loss), tf.float32) for loss in self.model.losses]
            loss = tf.add_n([tf.reduce_mean(self._weigh(self.measure_losses(images, targets, outputs), labels)), *extra])
        gradients = tape.gradient(loss, weights)
        with self.schedule.hold(self.optimizer.iterations.value):
            self.optimizer.apply(gradients)
        right = tf.equal(tf.argmax(outputs, axis=-1, output_type=labels.dtype), labels)
        return loss, tf.reduce_sum(tf.cast(right, tf.float32))

    def _targets(self, labels: tf.Tensor) -> tf.Tensor:
        """The labels; if they are softened or mixed, one-hot (n, classes) with label smoothing."""
        if not self.soft:
            return labels
        return tf.one_hot(labels, self.num_classes) * (1.0 - self.smoothing) + self.smoothing / self.num_classes

    def _weigh(self, each: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return each * tf.gather(self.class_weight, labels) if self.weighted else each

    def _evaluate_batch(self, kind: str, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        views = [
            tf.cast(self.model(cast_input(view, self.model), training=False), tf.float32) for view in make_views(kind, images)
        ]
        outputs = tf.add_n(views) / len(views) if len(views) > 1 else views[0]
        losses = keras.losses.sparse_categorical_crossentropy(labels, outputs)
        return tf.reduce_sum(losses), tf.argmax(outputs, axis=-1), tf.reduce_max(outputs, axis=-1)


def cast_input(images: tf.Tensor, model: keras.Model) -> tf.Tensor:
    """Images in the type that the model's input declares; uint8 stays uint8 if the model itself rescales it."""
    return tf.cast(images, model.inputs[0].dtype)
