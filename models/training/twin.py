"""The training twin: a clone of a model whose Dropout rates are values in the graph, so that one trace serves many trials.

Keras bakes a Dropout's rate into the trace (a changed `rate` is ignored), and a rate of 0 makes another graph.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

GOLDEN = 0x9E3779B9  # 2**32 over the golden ratio: spreads small numbers


class Clock:
    """The seed of a trial and the key of its current step, shared by the layers that draw."""

    def __init__(self) -> None:
        self.seed = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.key: tf.Tensor = tf.constant(0, tf.uint32)  # a tensor of the graph while a step is traced
        self.taken = 0
        self.calls: Counter[int] = Counter()  # of each layer, in the step that is traced

    def tick(self, step: tf.Tensor) -> None:
        """Set the key to a function of (seed, step)."""
        self.calls.clear()
        self.key = _mix(_u32(step) + _mix(_u32(self.seed)))

    def take(self) -> int:
        """A number for one more layer that draws."""
        self.taken += 1
        return self.taken

    def bits(self, layer: int, size: Any, part: int = 0) -> tf.Tensor:
        """Random uint32 (size,) for a layer at this step; `part` tells several draws apart."""
        own = tf.constant(GOLDEN * (layer + 101 * part) % 2**32, tf.uint32)
        return _mix(tf.bitwise.bitwise_xor(_u32(tf.range(size)), _mix(tf.bitwise.bitwise_xor(self.key, own))))

    def uniform(self, layer: int, size: Any, part: int = 0) -> tf.Tensor:
        """Random float32 (size,) in [0, 1)."""
        return tf.cast(tf.bitwise.right_shift(self.bits(layer, size, part), tf.constant(8, tf.uint32)), tf.float32) / 2.0**24

    def seed_pair(self, layer: int) -> tf.Tensor:
        """A seed for TensorFlow's stateless generators."""
        return tf.cast(self.bits(layer, 2), tf.int32)


class RatedDropout(keras.layers.Layer):
    """Dropout whose rate is a variable, and whose mask is a function of (seed, step, layer, call, element): no state to save.

    The mask comes of a hash of each element's index. It is plain arithmetic, which XLA fuses with what stands around it;
    Keras's stateful generator makes a compiled loop nine times slower.
    """

    def __init__(self, rate: float, clock: Clock, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self.rate = tf.Variable(rate, trainable=False, dtype=tf.float32)
        self.clock = clock
        self.index = clock.take()

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Zero a share `rate` of the inputs and scale the rest up, in training only. The shape is kept."""
        if not training:
            return inputs
        static = inputs.shape.is_fully_defined()
        size, shape = (math.prod(inputs.shape), inputs.shape) if static else (tf.size(inputs), tf.shape(inputs))
        call = self.clock.calls[self.index]
        self.clock.calls[self.index] += 1
        kept = tf.reshape(self.clock.bits(self.index, size, call) >= _u32(tf.cast(self.rate, tf.float64) * 2.0**32), shape)
        return inputs * (tf.cast(kept, inputs.dtype) * tf.cast(1.0 / (1.0 - self.rate), inputs.dtype))


class FusedBatchNorm(keras.layers.BatchNormalization):
    """Keras's BatchNormalization with the training pass in one kernel, twice as fast on images; the same to rounding."""

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        """Normalise over all axes but the last, the channels. The shape is kept."""
        if not training or not self.trainable or mask is not None or None in inputs.shape:
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        count = math.prod(inputs.shape) // channels
        rows = tf.reshape(tf.cast(inputs, tf.float32), [count, 1, 1, channels])
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            rows, self.gamma.value, self.beta.value, epsilon=self.epsilon, is_training=True
        )
        # The kernel's variance is the sample's, over count - 1; Keras keeps the batch's own.
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance * ((count - 1) / count))):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return tf.cast(tf.reshape(outputs, inputs.shape), self.compute_dtype)


def twin(model: keras.Model) -> tuple[keras.Model, Clock]:
    """A clone of a functional model with its Dropouts rated by variables. Raises where the model cannot be cloned."""
    clock = Clock()

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if _rated(layer):
            return RatedDropout(layer.rate, clock, name=layer.name, dtype=layer.dtype_policy)
        if _plain_norm(layer):
            return FusedBatchNorm.from_config(layer.get_config())
        return layer.__class__.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=clone, recursive=True), clock


def twin_or_itself(model: keras.Model) -> tuple[keras.Model, Clock]:
    """The twin with the model's values, or the model where a layer of somebody's own cannot be made again as it is."""
    try:
        made, clock = twin(model)
        copy(model, made)
        set_values(model, made)
    except Exception:  # whatever such a layer raises, or a clone that has other weights
        return model, Clock()
    return made, clock


def in_float32(model: keras.Model) -> keras.Model:
    """The model itself, or where it computes in a lower precision and can be cloned, its clone that computes in float32."""
    if signature(model) is None or all(layer.compute_dtype != "bfloat16" for layer in model._flatten_layers()):
        return model

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        clone_ = keras.models.clone_model(model, clone_function=_float32, recursive=True)
        copy(model, clone_)
    except Exception:  # as in `twin_or_itself`
        return model
    finally:
        keras.config.set_dtype_policy(before)
    return clone_


def signature(model: keras.Model) -> str | None:
    """What two models share when one twin can train both: their config but for Dropout rates; None where it has none.

    A layer that was adapted to data has what it learnt beside its config, and a class that is made with the model may have a
    trial's values in its code: a clone would not have the one, nor another trial the other.
    """
    if type(model) not in (keras.Model, keras.Sequential) and type(model).__name__ != "Functional":
        return None
    for layer in layers_of(model):
        adapted = hasattr(layer, "finalize_state") and getattr(layer, "input_mean", None) is None
        if adapted or "<locals>" in type(layer).__qualname__:
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


def set_values(model: keras.Model, twin_: keras.Model) -> None:
    """Give the twin the model's Dropout rates, and the seeds of its other random layers."""
    for layer, twin_layer in zip(layers_of(model), layers_of(twin_), strict=True):
        if isinstance(twin_layer, RatedDropout):
            twin_layer.rate.assign(layer.rate)
        else:
            for drawn, twin_drawn in zip(layer._seed_generators, twin_layer._seed_generators, strict=True):
                twin_drawn.state.assign(drawn.state)


def layers_of(model: keras.Model) -> Iterator[Any]:
    """Every layer of a model, nested ones too, but its inputs."""
    return (layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, keras.layers.InputLayer))


def _rated(layer: Any) -> bool:
    return type(layer) is keras.layers.Dropout and layer.noise_shape is None


def _plain_norm(layer: Any) -> bool:
    if type(layer) is not keras.layers.BatchNormalization or layer.synchronized or getattr(layer, "renorm", False):
        return False
    return bool(layer.center and layer.scale) and layer.axis in (-1, len(layer.input.shape) - 1)


def _float32(layer: Any) -> Any:
    """The clone of a layer, or of an operation such as `+`, which has no precision of its own."""
    config = layer.get_config()
    lower = getattr(layer, "compute_dtype", None) == "bfloat16"
    return layer.__class__.from_config({**config, "dtype": "float32"} if lower else config)


def _without_rates(config: dict[str, Any]) -> dict[str, Any]:
    """A model's config without the rates of those Dropouts that its twin rates: its own, and those of models inside it."""
    return {**config, "layers": [_without_rate(layer) for layer in config["layers"]]} if "layers" in config else config


def _without_rate(layer: dict[str, Any]) -> dict[str, Any]:
    if layer["class_name"] == "Dropout" and layer.get("module") == "keras.layers" and layer["config"].get("noise_shape") is None:
        return {**layer, "config": {**layer["config"], "rate": None, "seed": None}}
    if layer["class_name"] in ("Functional", "Sequential"):
        return {**layer, "config": _without_rates(layer["config"])}
    return layer


def _u32(value: tf.Tensor) -> tf.Tensor:
    return tf.cast(value, tf.uint32)


def _mix(number: tf.Tensor) -> tf.Tensor:
    """lowbias32, a bijective hash of 32 bits (Chris Wellons, "Prospecting for hash functions", 2018)."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        number = tf.bitwise.bitwise_xor(number, tf.bitwise.right_shift(number, tf.constant(shift, tf.uint32)))
        number *= tf.constant(factor, tf.uint32)
    return tf.bitwise.bitwise_xor(number, tf.bitwise.right_shift(number, tf.constant(16, tf.uint32)))
