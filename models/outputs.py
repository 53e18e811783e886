"""The outputs of a model: probabilities stay, logits get a softmax, any other end is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ModelError

if TYPE_CHECKING:
    import keras

ADDED = "tailor_softmax"  # the name of the layer that turns logits into probabilities
IMAGES = 16  # random ones, to see what the model outputs
NEAR = 0.02  # to a sum of 1: bfloat16 rounds by so much
PASSING = ("Activation", "ActivityRegularization", "Dropout", "Flatten", "Identity", "Reshape")  # these change no number
OPERATIONS = {"logsoftmax": "log_softmax", "hardsigmoid": "hard_sigmoid"}
WAY_OUT = 'end it with activation="softmax", or with no activation: Tailor then adds the softmax'


def end_in_probabilities(name: str, model: keras.Model) -> keras.Model:
    """The model, whose one output is (n, classes), with probabilities at its end: logits get a softmax.

    Its last activation decides; if that is unknown, as in a custom layer, its outputs for random images decide.
    Raises ModelError for any other end.
    """
    from .training.keras_step import has_custom_step

    end = find_end(model)
    if end == "unknown":
        end = judge(_predict_noise(model))
    if end == "softmax":
        return model
    if end != "linear":
        raise ModelError(f"model {name!r}: expected probabilities or logits at its end, got {end}; {WAY_OUT}.")
    if has_custom_step(model):
        raise ModelError(
            f"model {name!r}: with a custom step or loss it must end with a softmax, and its loss must take no logits."
        )
    return add_softmax(model, ADDED)


def add_softmax(model: keras.Model, name: str | None = None) -> keras.Model:
    """The model with a softmax, in float32, after its one output."""
    import keras

    return keras.Model(model.inputs[0], keras.layers.Activation("softmax", dtype="float32", name=name)(model.outputs[0]))


def find_end(model: keras.Model) -> str:
    """The activation at the model's end: "softmax", "linear" after weights, another by its name; else "unknown"."""
    import keras

    from .training.keras_private import get_last_operation, get_sources

    last = get_last_operation(model)
    while last is not None:
        if isinstance(last, keras.Model):
            last = get_last_operation(last)
            continue
        end = _name_activation(last)
        if end != "linear" or type(last).__name__ not in PASSING:
            return end
        sources = get_sources(last)
        last = sources[0] if len(sources) == 1 else None
    return "unknown"


def judge(outputs: np.ndarray) -> str:
    """What outputs (n, classes) are, by their numbers alone: "softmax", "linear", or in words what is wrong with them. Pure."""
    low, high, sums = outputs.min(), outputs.max(), outputs.sum(axis=1)
    if not np.isfinite(outputs).all():
        return "softmax"  # unknown here; training raises its error
    if low >= -1e-6 and high <= 1 + NEAR and np.allclose(sums, 1, atol=NEAR):
        return "softmax"
    if high <= 1e-6 and np.allclose(np.exp(outputs.astype("float64")).sum(axis=1), 1, atol=NEAR):
        return "log_softmax"
    if low >= 0 and high > 0:
        ends = "numbers between 0 and 1" if high <= 1 else "numbers that are never below 0"
        return f"{ends} whose sums are {sums.min():.3g} to {sums.max():.3g} an image"
    return "linear"


def _name_activation(operation: Any) -> str:
    """The activation of a layer or operation: its name, "linear" for none, "unknown" for a custom one."""
    import keras

    kind = type(operation).__name__
    if isinstance(operation, keras.layers.Softmax) or kind == "Softmax":
        return "softmax" if operation.axis in (-1, 1) else f"a softmax over axis {operation.axis}"
    if not isinstance(operation, keras.layers.Layer):
        known = OPERATIONS.get(kind.lower(), kind.lower())
        return known if hasattr(keras.activations, known) else "unknown"
    if kind in ("ReLU", "LeakyReLU", "PReLU", "ELU"):
        return kind
    if kind in PASSING and kind != "Activation":
        return "linear"
    function = getattr(operation, "activation", None)
    known = getattr(function, "__name__", "")
    ours = type(operation).__module__.partition(".")[0] == "keras" and getattr(keras.activations, known, None) is function
    return known if known and ours else "unknown"


def _predict_noise(model: keras.Model) -> np.ndarray:
    import keras

    shape = model.inputs[0].shape[1:]
    noise = np.random.default_rng(0).integers(0, 256, (IMAGES, *shape))
    return np.asarray(model(keras.ops.cast(noise, model.inputs[0].dtype), training=False), "float32")
