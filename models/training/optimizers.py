"""The optimizers: Keras's own, and Adam and SGD whose whole update is one TensorFlow kernel; by name, or a model's own."""

from __future__ import annotations

import json
from typing import Any

import keras
import tensorflow as tf

from .options import TrainOptions
from .schedules import Followed, Schedule


class FusedAdam(keras.optimizers.Adam):
    """Keras's Adam with the update in one kernel. `epsilon` stands outside the bias correction, as in Keras."""

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations.value + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class FusedSGD(keras.optimizers.SGD):
    """Keras's SGD with momentum in one kernel; its Nesterov is the same too."""

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: tf.Tensor) -> None:
        if self.momentum == 0:
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=learning_rate, delta=gradient)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=learning_rate,
            grad=gradient,
            momentum=self.momentum,
            use_nesterov=self.nesterov,
        )


FUSED = {keras.optimizers.Adam: FusedAdam, keras.optimizers.AdamW: FusedAdam, keras.optimizers.SGD: FusedSGD}


def make(options: TrainOptions) -> keras.optimizers.Optimizer:
    """The optimizer that the options name, on a `Schedule` whose values are set trial by trial."""
    optimizer = _own(options) if options.optimizer.startswith("{") else _named(options)
    # There is one replica, so there is nothing to reduce; and TensorFlow's all_reduce enters a gradient function into a table
    # of the process, which keeps the graph alive for ever: eight megabytes a trial.
    optimizer._all_reduce_sum_gradients = list
    return optimizer


def _named(options: TrainOptions) -> keras.optimizers.Optimizer:
    rules: dict[str, Any] = {"learning_rate": Schedule(options.schedule)}
    if options.clip_norm:
        rules["global_clipnorm"] = options.clip_norm
    if options.weight_decay:
        rules["weight_decay"] = options.weight_decay
    if options.optimizer == "sgd":
        return FusedSGD(momentum=options.momentum, nesterov=options.nesterov, **rules)
    if options.optimizer in ("adam", "adamw"):  # AdamW is Adam with a weight decay
        return FusedAdam(**rules)
    if options.optimizer == "rmsprop":
        rules["momentum"] = options.momentum
    kind = {"rmsprop": "RMSprop", "nadam": "Nadam", "adagrad": "Adagrad", "lion": "Lion"}[options.optimizer]
    return getattr(keras.optimizers, kind)(**rules)


def _own(options: TrainOptions) -> keras.optimizers.Optimizer:
    """A compiled model's own, of its class and config, in one kernel where there is one."""
    own = keras.optimizers.deserialize(json.loads(options.optimizer))
    config, rate = own.get_config(), own._learning_rate
    scheduled = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    config["learning_rate"] = Followed(rate) if scheduled else Schedule("constant")
    kind = type(own) if config.get("amsgrad") else FUSED.get(type(own), type(own))
    return kind.from_config(config)
