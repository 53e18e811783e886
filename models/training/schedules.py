"""Learning-rate schedules as functions of the step; base rate, length and warm-up are values in the graph, not constants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import tensorflow as tf

from .records import TrialValues


class HeldSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule whose rate can be held for one step: Keras asks for it anew at the decay of each weight."""

    _held: tf.Tensor | None = None

    @contextmanager
    def hold(self, step: tf.Tensor) -> Iterator[None]:
        """Inside the block every call gives the rate of this step, which is computed once."""
        self._held = self.find(step)
        try:
            yield
        finally:
            self._held = None

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        return self.find(step) if self._held is None else self._held

    def find(self, step: tf.Tensor) -> tf.Tensor:
        """The rate at this step."""
        raise NotImplementedError


class Schedule(HeldSchedule):
    """The learning rate at a step (from 0): linear warm-up to the base rate, then the named decay to the last step.

    `one_cycle` is the 1cycle policy (Smith, 2018): up for 30 % of the steps, then down to 1/10,000 of the base by cosine.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.base = tf.Variable(0.0, trainable=False)
        self.warmup = tf.Variable(0.0, trainable=False)
        self.steps = tf.Variable(1.0, trainable=False)
        self.before = tf.Variable(0.0, trainable=False)

    def set(self, values: TrialValues) -> None:
        """Take the values of one trial."""
        self.before.assign(float(values.epochs_done * values.steps_per_epoch))
        self.base.assign(values.options.learning_rate * values.factor)
        self.warmup.assign(values.options.warmup_epochs * values.steps_per_epoch)
        self.steps.assign(float(values.steps_per_epoch * values.epochs))

    def find(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.float32) + self.before
        if self.kind in ("constant", "plateau"):  # the trainer lowers the base rate of `plateau`
            return self.base * self._warm(step)
        done = tf.clip_by_value(step / self.steps, 0.0, 1.0)
        if self.kind == "one_cycle":
            up = 0.04 + 0.96 * _cosine(done / 0.3)
            down = 1.0 - (1.0 - 1e-4) * _cosine((done - 0.3) / 0.7)
            return self.base * tf.where(done < 0.3, up, down)
        decay = {
            "cosine": lambda: 1.0 - _cosine(done),
            "exponential": lambda: tf.pow(0.01, done),  # to a hundredth at the end
            "step": lambda: tf.pow(0.1, tf.floor(done * 3.0)),  # a tenth at each third
        }[self.kind]()
        return self.base * decay * self._warm(step)

    def _warm(self, step: tf.Tensor) -> tf.Tensor:
        return tf.minimum(1.0, (step + 1.0) / tf.maximum(self.warmup, 1.0))

    def get_config(self) -> dict[str, str]:
        return {"kind": self.kind}


class ShiftedSchedule(HeldSchedule):
    """A compiled model's schedule, from the step at which the trial's earlier epochs ended."""

    def __init__(self, inner: keras.optimizers.schedules.LearningRateSchedule) -> None:
        self.inner = inner
        self.before = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.factor = tf.Variable(1.0, trainable=False)

    def set(self, values: TrialValues) -> None:
        """Like `Schedule.set`; the schedule itself knows its rates."""
        self.factor.assign(values.factor)
        self.before.assign(values.epochs_done * values.steps_per_epoch)

    def find(self, step: tf.Tensor) -> tf.Tensor:
        return self.factor * tf.cast(self.inner(tf.cast(step, tf.int64) + self.before), tf.float32)

    def get_config(self) -> dict[str, str]:
        return {"inner": keras.optimizers.schedules.serialize(self.inner)}


def _cosine(x: tf.Tensor) -> tf.Tensor:
    """From 0 at x = 0 to 1 at x = 1, along half a cosine."""
    return 0.5 * (1.0 - tf.cos(np.pi * x))
