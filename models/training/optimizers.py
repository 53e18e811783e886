"""The optimizers, by name or from a compiled model: Keras's, and Adam and SGD whose whole update is one TensorFlow kernel."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from .freezing import walk_units
from .keras_private import get_adam_slots, get_learning_rate, get_momentum_slot, skip_all_reduce
from .options import TrainOptions
from .schedules import Schedule, ShiftedSchedule


class FusedAdam(keras.optimizers.Adam):
    """Keras's Adam with the update in one kernel. `epsilon` is outside the bias correction, as in Keras."""

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: tf.Tensor) -> None:
        if variable.dtype != "float32":  # the kernel takes no numbers of another type than the weight's
            super().update_step(gradient, variable, learning_rate)
            return
        first, second = get_adam_slots(self, variable)
        step = tf.cast(self.iterations.value + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=first.value.handle,
            v=second.value.handle,
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


class FusedSGD(keras.optimizers.SGD):
    """Keras's SGD with momentum in one kernel; Nesterov is the same too."""

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: tf.Tensor) -> None:
        if variable.dtype != "float32":
            super().update_step(gradient, variable, learning_rate)
            return
        if self.momentum == 0:
            tf.raw_ops.ResourceApplyGradientDescent(var=variable.handle, alpha=learning_rate, delta=gradient)
            return
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=get_momentum_slot(self, variable).value.handle,
            lr=learning_rate,
            grad=gradient,
            momentum=self.momentum,
            use_nesterov=self.nesterov,
        )


FUSED = {keras.optimizers.Adam: FusedAdam, keras.optimizers.AdamW: FusedAdam, keras.optimizers.SGD: FusedSGD}

KERAS = {
    "rmsprop": "RMSprop",
    "nadam": "Nadam",
    "adagrad": "Adagrad",
    "lion": "Lion",
    "schedule_free_adamw": "ScheduleFreeAdamW",
}


def make_schedule(options: TrainOptions) -> Schedule | ShiftedSchedule:
    """The schedule that the options name, or the one that a compiled model's optimizer brings."""
    if not is_config(options):
        return Schedule(options.schedule)
    rate = get_learning_rate(read(options.optimizer))
    return ShiftedSchedule(rate) if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule) else Schedule("constant")


def make(
    options: TrainOptions, schedule: keras.optimizers.schedules.LearningRateSchedule, model: keras.Model
) -> keras.optimizers.Optimizer:
    """The optimizer of the model's weights that the options name, on a schedule whose values are set trial by trial."""
    optimizer = _make_from_config(options, schedule) if is_config(options) else _make_by_name(options, schedule, model)
    skip_all_reduce(optimizer)
    optimizer.build(model.trainable_variables)
    if options.ema:
        optimizer.ema_momentum = tf.Variable(0.0, trainable=False)
    if options.weight_decay:
        optimizer.weight_decay = tf.Variable(0.0, trainable=False)
        if options.optimizer == "muon":
            optimizer.adam_weight_decay = optimizer.weight_decay
    return optimizer


def begin(optimizer: keras.optimizers.Optimizer, weights: list[Any]) -> None:
    """Set what an optimizer derives from the weights that it begins with."""
    if isinstance(optimizer, keras.optimizers.ScheduleFreeAdamW):
        for weight in weights:
            get_adam_slots(optimizer, weight)[0].assign(weight)


def is_config(options: TrainOptions) -> bool:
    """Whether the options hold a compiled model's own optimizer, serialized."""
    return options.optimizer.startswith("{")


def read(serialized: str) -> keras.optimizers.Optimizer:
    """The optimizer of a compiled model's serialized one. Raises what Keras raises for a class or a config that is not whole.

    Keras itself finds only its own classes and registered ones; a custom one is in its module, which the model's code loaded.
    """
    plain = json.loads(serialized)
    return keras.saving.deserialize_keras_object(plain, custom_objects=dict(_list_custom(plain)))


def _list_custom(plain: Any) -> Iterator[tuple[str, type]]:
    """The custom classes in what Keras serialized, by the name that it looks them up by: a schedule may hold another."""
    if not isinstance(plain, dict):
        return
    kind = getattr(sys.modules.get(plain.get("module") or ""), str(plain.get("class_name")), None)
    if plain.get("registered_name") and isinstance(kind, type):
        yield plain["registered_name"], kind
    for value in plain.values():
        yield from _list_custom(value)


def _make_by_name(
    options: TrainOptions, schedule: keras.optimizers.schedules.LearningRateSchedule, model: keras.Model
) -> keras.optimizers.Optimizer:
    rules: dict[str, Any] = {"learning_rate": schedule, "use_ema": options.ema > 0}
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
    if options.optimizer == "muon":  # Keras asks for the names of what it shall not train
        last = [layer for layer in walk_units(model) if layer.weights][-1]
        decay = options.weight_decay or None
        names = [f"^{re.escape(weight.path)}$" for weight in last.weights]
        return keras.optimizers.Muon(exclude_layers=names, adam_weight_decay=decay, **{"weight_decay": None, **rules})
    return getattr(keras.optimizers, KERAS[options.optimizer])(**rules)


def _make_from_config(
    options: TrainOptions, schedule: keras.optimizers.schedules.LearningRateSchedule
) -> keras.optimizers.Optimizer:
    """A compiled model's own optimizer, from its class and config, in one kernel if there is one."""
    own = read(options.optimizer)
    config = {**own.get_config(), "learning_rate": schedule, "use_ema": options.ema > 0}
    kind = type(own) if config.get("amsgrad") else FUSED.get(type(own), type(own))
    return kind.from_config(config)
