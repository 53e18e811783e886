"""The training twin: a clone of a model whose Dropout rates are values in the graph, so that one trace serves many trials.

Keras bakes a Dropout's rate into the trace (a changed `rate` is ignored), and a rate of 0 makes another graph.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import keras

from .layers import FusedBatchNorm, RatedDropout
from .random import Clock


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
