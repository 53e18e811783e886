"""A small network of depthwise-separable convolutions (MobileNet, Howard et al., 2017), built for few weights and low latency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

DEFAULTS: Mapping[str, Any] = {
    "depth": 2,  # separable convolutions in each stage
    "width": 32,
    "stages": 3,
    "kernel": 3,
    "activation": "relu",
    "batch_norm_momentum": 0.9,  # of its running averages; Keras's 0.99 takes hundreds of steps: docs/decisions.md
    "dropout": 0.0,  # before the last layer
}
# On 5,000 images a rate of 0.006 beat 0.002. What is not searched stays at Keras's batch of 32 and rate of 0.001.
STARTS: Mapping[str, Any] = {"batch_size": 64, "learning_rate": 6e-3}


def build(hparams: Mapping[str, Any], input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """An uncompiled model from (n, height, width, channels) uint8 images to (n, num_classes) probabilities."""
    import keras  # not at the top: the coordinator reads DEFAULTS and stays free of TensorFlow
    from keras import layers

    def finish(x: Any) -> Any:
        x = layers.BatchNormalization(momentum=hparams["batch_norm_momentum"])(x)
        return layers.Activation(hparams["activation"])(x)

    kernel = hparams["kernel"]
    inputs = keras.Input(input_shape, dtype="uint8")
    x = layers.Rescaling(1 / 255)(inputs)
    x = finish(layers.Conv2D(hparams["width"], kernel, padding="same", use_bias=False)(x))
    for stage in range(hparams["stages"]):
        for block in range(hparams["depth"]):
            strides = 2 if stage and not block else 1
            x = finish(layers.DepthwiseConv2D(kernel, strides, padding="same", use_bias=False)(x))
            x = finish(layers.Conv2D(hparams["width"] * 2**stage, 1, use_bias=False)(x))
    x = layers.GlobalAveragePooling2D()(x)
    if hparams["dropout"]:
        x = layers.Dropout(hparams["dropout"])(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax", dtype="float32")(x))
