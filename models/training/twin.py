"""The training twin: a clone of a model whose Dropout rates are values in the graph, so that one trace serves many trials.

Keras bakes a Dropout's rate into the trace (a changed `rate` is ignored), and a rate of 0 makes another graph.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf


class RatedDropout(keras.layers.Layer):
    """Dropout whose rate is a variable, and whose mask is a function of (trial's seed, layer, step): no state to save."""

    def __init__(self, rate: float, noise_shape: Any, clock: Clock, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self.noise_shape = noise_shape
        self.rate = tf.Variable(rate, trainable=False, dtype=tf.float32)
        self.clock = clock
        self.index = clock.take()

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Zero a share `rate` of the inputs and scale the rest up, in training only. The shape is kept."""
        if not training:
            return inputs
        shape = tf.shape(inputs) if self.noise_shape is None else tf.constant(self.noise_shape)
        draw = tf.random.stateless_uniform(shape, seed=self.clock.seed_for(self.index))
        scale = tf.cast(1.0 / (1.0 - self.rate), inputs.dtype)
        return tf.where(draw >= self.rate, inputs * scale, tf.zeros_like(inputs))


class Clock:
    """The seed of a trial and the step it is at, shared by the layers that draw."""

    def __init__(self) -> None:
        self.seed = tf.Variable(0, trainable=False, dtype=tf.int32)
        self.step = tf.Variable(0, trainable=False, dtype=tf.int32)
        self._taken = 0

    def take(self) -> int:
        """A number for one more layer that draws."""
        self._taken += 1
        return self._taken

    def seed_for(self, layer: int) -> tf.Tensor:
        """A pair of seeds for that layer at this step."""
        return tf.stack([self.seed + 7919 * layer, self.step])


def twin(model: keras.Model) -> tuple[keras.Model, Clock]:
    """A clone of a functional model with its Dropouts rated by variables. Raises where the model cannot be cloned."""
    clock = Clock()

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if type(layer) is keras.layers.Dropout:
            return RatedDropout(layer.rate, layer.noise_shape, clock, name=layer.name, dtype=layer.dtype_policy)
        return layer.__class__.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=clone, recursive=True), clock


def signature(model: keras.Model) -> str | None:
    """What two models share when one twin can train both: their config but for Dropout rates; None where it has none."""
    if type(model) not in (keras.Model, keras.Sequential) and type(model).__name__ != "Functional":
        return None
    try:
        config = model.get_config()
    except NotImplementedError:
        return None
    return json.dumps(_without_rates(config), sort_keys=True, default=repr)


def copy(source: keras.Model, target: keras.Model) -> None:
    """Copy every weight between a model and its twin, in either direction."""
    for old, new in zip(source.weights, target.weights, strict=True):
        new.assign(old)


def set_rates(model: keras.Model, twin_: keras.Model) -> None:
    """Give the twin the model's Dropout rates."""
    for layer, twin_layer in zip(_layers(model), _layers(twin_), strict=True):
        if isinstance(twin_layer, RatedDropout):
            twin_layer.rate.assign(layer.rate)


def _layers(model: keras.Model) -> Iterator[Any]:
    return (layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.layers.InputLayer))


def _without_rates(config: Any) -> Any:
    if isinstance(config, dict):
        if config.get("class_name") == "Dropout":
            config = {**config, "config": {**config["config"], "rate": None, "seed": None}}
        return {key: _without_rates(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return [_without_rates(item) for item in config]
    return config
