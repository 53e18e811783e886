"""A residual network (He et al., 2016): stages of `depth` residual blocks, each half as large and twice as wide, then softmax."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

DEFAULTS: Mapping[str, Any] = {
    "depth": 1,  # 2 * stages * depth + 2 layers in all: 3 and 3 stages are ResNet-20
    "width": 16,
    "stages": 3,
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

    def convolve(x: Any, filters: int, kernel: int = 3, strides: int = 1) -> Any:
        x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
        return layers.BatchNormalization(momentum=hparams["batch_norm_momentum"])(x)

    def activate(x: Any) -> Any:
        return layers.Activation(hparams["activation"])(x)

    inputs = keras.Input(input_shape, dtype="uint8")
    x = activate(convolve(layers.Rescaling(1 / 255)(inputs), hparams["width"]))
    for stage in range(hparams["stages"]):
        filters = hparams["width"] * 2**stage
        for block in range(hparams["depth"]):
            strides = 2 if stage and not block else 1
            shortcut = convolve(x, filters, 1, strides) if strides > 1 else x
            x = convolve(activate(convolve(x, filters, strides=strides)), filters)
            x = activate(layers.Add()([x, shortcut]))
    x = layers.GlobalAveragePooling2D()(x)
    if hparams["dropout"]:
        x = layers.Dropout(hparams["dropout"])(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax", dtype="float32")(x))
