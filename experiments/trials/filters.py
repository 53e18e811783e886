"""The weights of a model's first layer that can be seen as images: a convolution's kernels, or a dense layer's on images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras

MOST = 32  # filters, those of the largest weights
SMALLEST = 2  # pixels of a kernel's side; one pixel shows nothing


@dataclass(frozen=True)
class Filters:
    """Filters of a layer: `weights` float32 (n, height, width, channels), the largest first, of `total` in the layer."""

    layer: str
    weights: np.ndarray
    total: int
    dense: bool


def find_filters(model: keras.Model, shape: tuple[int, int, int]) -> Filters | None:
    """The filters of the first layer of Keras's that has a kernel, or None if they are no images; `shape` is the images'."""
    import keras

    apart = keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D
    for layer in _walk(model):
        if isinstance(layer, apart):
            kernel = np.asarray(layer.get_weights()[0], "float32")  # (height, width, channels, filters a channel)
            return _read(layer.name, kernel.reshape(*kernel.shape[:2], 1, -1), shape)
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            return _read(layer.name, np.asarray(layer.get_weights()[0], "float32"), shape)
    return None


def _walk(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers in order, those of models in the model in the place of the model."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from _walk(layer)
        else:
            yield layer


def _read(layer: str, kernel: np.ndarray, shape: tuple[int, int, int]) -> Filters | None:
    dense = kernel.ndim == 2 and kernel.shape[0] == math.prod(shape)
    if dense:
        weights = kernel.T.reshape(-1, *shape)
    elif kernel.ndim == 4 and min(kernel.shape[:2]) >= SMALLEST:
        weights = kernel.transpose(3, 0, 1, 2)
    else:
        return None
    largest = np.argsort(-np.square(weights).sum(axis=(1, 2, 3)), kind="stable")[:MOST]
    return Filters(layer, np.ascontiguousarray(weights[largest]), len(weights), dense)
