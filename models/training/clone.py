"""The training clone: a model's clone whose Dropout rates are values in the graph, so that many trials share one trace.

Keras fixes a Dropout's rate in the trace (and ignores a changed `rate`), and a rate of 0 makes another graph.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import keras

from .keras_private import flatten_layers, get_seed_generators
from .layers import FusedBatchNorm, RatedDropout
from .random import Clock


def clone_for_training(model: keras.Model) -> tuple[keras.Model, Clock]:
    """A clone of a functional model whose Dropouts take their rates from variables. Raises if the model cannot be cloned."""
    clock = Clock()

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if _is_plain_dropout(layer):
            return RatedDropout(layer.rate, clock, name=layer.name, dtype=layer.dtype_policy)
        if _is_plain_norm(layer):
            return FusedBatchNorm.from_config(layer.get_config())
        return layer.__class__.from_config(layer.get_config())

    return keras.models.clone_model(model, clone_function=clone, recursive=True), clock


def clone_or_keep(model: keras.Model) -> tuple[keras.Model, Clock]:
    """The training clone with the model's values, or the model if a custom layer cannot be cloned exactly."""
    try:
        made, clock = clone_for_training(model)
        copy_weights(model, made)
        set_values(model, made)
    except Exception:  # any error of such a layer, or a clone with other weights
        return model, Clock()
    return made, clock


def uses_bfloat16(model: keras.Model) -> bool:
    """Whether any layer computes in bfloat16."""
    return any(layer.compute_dtype == "bfloat16" for layer in flatten_layers(model))


def convert_to_float32(model: keras.Model) -> keras.Model:
    """The model, or its clone that computes in float32 if it computes in a lower precision and can be cloned."""
    if signature(model) is None or not uses_bfloat16(model):
        return model

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        clone = keras.models.clone_model(model, clone_function=_clone_layer_in_float32, recursive=True)
        copy_weights(model, clone)
    except Exception:  # as in `clone_or_keep`
        return model
    finally:
        keras.config.set_dtype_policy(before)
    return clone


def signature(model: keras.Model) -> str | None:
    """What two models share if one clone can train both: their config without Dropout rates; None if no clone can.

    A layer that was adapted to data keeps what it learnt outside its config, so a clone would lack it. A class that is made
    with the model may have a trial's values in its code, so it does not fit another trial.
    """
    if type(model) not in (keras.Model, keras.Sequential) and type(model).__name__ != "Functional":
        return None
    for layer in walk_layers(model):
        adapted = hasattr(layer, "finalize_state") and getattr(layer, "input_mean", None) is None
        if adapted or "<locals>" in type(layer).__qualname__:
            return None
    try:
        config = model.get_config()
    except NotImplementedError:
        return None
    return json.dumps(_without_rates(config), sort_keys=True, default=repr)


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Copy every weight between a model and its clone, in either direction."""
    for old, new in zip(source.weights, target.weights, strict=True):
        new.assign(old)


def set_values(model: keras.Model, clone: keras.Model) -> None:
    """Give the clone the model's Dropout rates, and the seeds of its other random layers."""
    for layer, cloned in zip(walk_layers(model), walk_layers(clone), strict=True):
        if isinstance(cloned, RatedDropout):
            cloned.rate.assign(layer.rate)
        else:
            for drawn, cloned_drawn in zip(get_seed_generators(layer), get_seed_generators(cloned), strict=True):
                cloned_drawn.state.assign(drawn.state)


def walk_layers(model: keras.Model) -> Iterator[Any]:
    """Every layer of a model, also nested ones, except its inputs."""
    return (layer for layer in flatten_layers(model, include_self=False) if not isinstance(layer, keras.layers.InputLayer))


def _is_plain_dropout(layer: Any) -> bool:
    return type(layer) is keras.layers.Dropout and layer.noise_shape is None


def _is_plain_norm(layer: Any) -> bool:
    if type(layer) is not keras.layers.BatchNormalization or layer.synchronized or getattr(layer, "renorm", False):
        return False
    return bool(layer.center and layer.scale) and layer.axis in (-1, len(layer.input.shape) - 1)


def _clone_layer_in_float32(layer: Any) -> Any:
    """The clone of a layer, or of an operation such as `+`, which has no precision."""
    config = layer.get_config()
    lower = getattr(layer, "compute_dtype", None) == "bfloat16"
    return layer.__class__.from_config({**config, "dtype": "float32"} if lower else config)


def _without_rates(config: dict[str, Any]) -> dict[str, Any]:
    """A model's config without the Dropout rates that the clone holds as values, in nested models too."""
    return {**config, "layers": [_without_rate(layer) for layer in config["layers"]]} if "layers" in config else config


def _without_rate(layer: dict[str, Any]) -> dict[str, Any]:
    if layer["class_name"] == "Dropout" and layer.get("module") == "keras.layers" and layer["config"].get("noise_shape") is None:
        return {**layer, "config": {**layer["config"], "rate": None, "seed": None}}
    if layer["class_name"] in ("Functional", "Sequential"):
        return {**layer, "config": _without_rates(layer["config"])}
    return layer
