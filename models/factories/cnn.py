"""A convolutional network: `blocks` of convolutions, pooling after the first `pools`, then a Dense head and softmax."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

MAX_BLOCKS = 6
DEFAULTS: Mapping[str, Any] = {
    "blocks": 3,
    "filters": 32,
    **{f"filters_{block}": None for block in range(1, MAX_BLOCKS + 1)},  # a block's own width; None takes `filters`
    "convolutions": 1,  # in each block
    "kernel": 3,
    "padding": "same",
    "pools": 2,
    "head": "flatten",  # or "average": global average pooling
    "dense_units": 128,  # 0 for no dense layer
    "activation": "relu",
    "batch_norm": False,
    "batch_norm_momentum": 0.9,  # of its running averages; Keras's 0.99 takes hundreds of steps: docs/decisions.md
    "dropout": 0.0,  # before the last layer
}
# These find a good model soonest: docs/decisions.md. What is not searched stays at Keras's batch of 32 and rate of 0.001.
STARTS: Mapping[str, Any] = {"batch_size": 64, "learning_rate": 2e-3}


def build(hparams: Mapping[str, Any], input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """An uncompiled model from (n, height, width, channels) uint8 images to (n, num_classes) probabilities."""
    import keras  # not at the top: the coordinator reads DEFAULTS and stays free of TensorFlow
    from keras import layers

    inputs = keras.Input(input_shape, dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    for block in range(1, hparams["blocks"] + 1):
        for convolution in range(1, hparams["convolutions"] + 1):
            last = block <= hparams["pools"] and convolution == hparams["convolutions"]  # a pool follows
            filters = hparams.get(f"filters_{block}") or hparams["filters"]
            x = layers.Conv2D(filters, hparams["kernel"], padding=hparams["padding"])(x)
            if hparams["batch_norm"]:
                x = layers.BatchNormalization(momentum=hparams["batch_norm_momentum"])(x)
            if last and hparams["activation"] == "relu":
                x = layers.MaxPooling2D()(x)  # the ReLU of a maximum is the maximum of the ReLUs, for a quarter of the work
            x = layers.Activation(hparams["activation"])(x)
            if last and hparams["activation"] != "relu":
                x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x) if hparams["head"] == "average" else layers.Flatten()(x)
    if hparams["dense_units"]:
        x = layers.Activation(hparams["activation"])(layers.Dense(hparams["dense_units"])(x))
    if hparams["dropout"]:
        x = layers.Dropout(hparams["dropout"])(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax", dtype="float32")(x))
