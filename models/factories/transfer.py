"""Transfer: a network of keras.applications without its top, on images resized inside the model, then a new softmax.

`frozen_epochs` and the options beside it (docs/study.md) freeze and fine-tune it.
"""

from __future__ import annotations

import difflib
import inspect
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ModelError

if TYPE_CHECKING:
    import keras

DEFAULTS: Mapping[str, Any] = {
    "backbone": "MobileNetV3Small",  # a name of keras.applications
    "weights": "none",  # random; "imagenet" lets Keras download its own, and a path names a file of weights
    "image_size": 96,  # pixels, each way
    "batch_norm_momentum": 0.9,  # of its running averages, if the weights are random: docs/decisions.md
    "dropout": 0.0,  # before the last layer
}


def build(hparams: Mapping[str, Any], input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """An uncompiled model from (n, height, width, channels) uint8 images to (n, num_classes) probabilities.

    Raises ModelError for a backbone or weights that are not there or do not fit, and for images of other than 1 or 3 channels.
    """
    import keras  # not at the top: the coordinator reads DEFAULTS and stays free of TensorFlow
    from keras import layers

    if input_shape[2] not in (1, 3):
        raise ModelError(
            f"model 'transfer': expected images of 1 or 3 channels, got {input_shape[2]}; convert them to grey or RGB."
        )
    make, size = _find(hparams["backbone"]), hparams["image_size"]
    backbone = _load(make, hparams, (size, size, 3))
    inputs = keras.Input(input_shape, dtype="uint8")
    # Resizing's default is training=True, and Keras 3.15 hands that on to all later layers if the model is called without it.
    x = layers.Resizing(size, size, dtype="float32")(inputs, training=False)
    x = layers.Concatenate(dtype="float32")([x, x, x]) if input_shape[2] == 1 else x
    x = inspect.getmodule(make).preprocess_input(x)  # type: ignore[union-attr]
    x = backbone(x)
    if hparams["dropout"]:
        x = layers.Dropout(hparams["dropout"])(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax", dtype="float32")(x))


def _find(name: str) -> Any:
    """Keras's function that makes the network of that name."""
    import keras

    names = [one for one in dir(keras.applications) if one[0].isupper()]
    if name not in names:
        near = difflib.get_close_matches(str(name), names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ModelError(
            f"training.backbone: expected a network of keras.applications, got {name!r}.{hint} It has {', '.join(names)}."
        )
    return getattr(keras.applications, name)


def _load(make: Any, hparams: Mapping[str, Any], shape: tuple[int, int, int]) -> keras.Model:
    """The backbone with the weights that are asked for, and one vector per image at its end."""
    import keras

    weights, name = hparams["weights"], hparams["backbone"]
    if weights not in ("none", "imagenet") and not os.path.isfile(os.path.expanduser(weights)):
        raise ModelError(
            f"training.weights: expected 'none', 'imagenet' or a file of weights, got {weights!r}, and there is no such file."
        )
    try:
        backbone = make(
            include_top=False, weights="imagenet" if weights == "imagenet" else None, input_shape=shape, pooling="avg"
        )
    except ValueError as error:  # such as images that are too small
        raise ModelError(f"model 'transfer': Keras cannot make {name} for images of {shape}: {error}") from error
    except Exception as error:  # Keras raises a bare Exception if a download fails
        raise ModelError(
            f"training.weights: Keras cannot fetch its own weights of {name} ({error}); name a file of them, or use 'none'."
        ) from error
    if weights not in ("none", "imagenet"):
        try:
            backbone.load_weights(os.path.expanduser(weights))
        except (ValueError, OSError, KeyError) as error:
            raise ModelError(
                f"training.weights: expected weights that {name} without its top saved by save_weights, got {weights!r}: {error}"
            ) from error
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = hparams["batch_norm_momentum"]
            # Pretrained averages stay, also while its neighbours are fine-tuned. Not by `backbone(x, training=False)`, as Keras's
            # guide has it: in Keras 3.15 a functional model's own `training` wins over that.
            layer.trainable = weights == "none"
    return backbone
