"""A multi-layer perceptron: Flatten, then `depth` times Dense, BatchNorm, activation, Dropout, then softmax."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

MAX_DEPTH = 8
DEFAULTS: Mapping[str, Any] = {
    "depth": 2,
    "units": 128,
    **{f"units_{layer}": None for layer in range(1, MAX_DEPTH + 1)},  # a layer's own width; None takes `units`
    "activation": "relu",
    "batch_norm": False,
    "batch_norm_momentum": 0.9,  # of its running averages; Keras's 0.99 takes hundreds of steps: docs/decisions.md
    "dropout": 0.0,
}


def build(hparams: Mapping[str, Any], input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """An uncompiled model from (n, height, width, channels) uint8 images to (n, num_classes) probabilities."""
    import keras  # not at the top: the coordinator reads DEFAULTS and stays free of TensorFlow
    from keras import layers

    inputs = keras.Input(input_shape, dtype="uint8")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(inputs))
    for layer in range(1, hparams["depth"] + 1):
        x = layers.Dense(hparams.get(f"units_{layer}") or hparams["units"])(x)
        if hparams["batch_norm"]:
            x = layers.BatchNormalization(momentum=hparams["batch_norm_momentum"])(x)
        x = layers.Activation(hparams["activation"])(x)
        if hparams["dropout"]:
            x = layers.Dropout(hparams["dropout"])(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax", dtype="float32")(x))
