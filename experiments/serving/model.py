"""A registered version that is loaded to be served: its predictions by traced graphs, its class names and its card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from ..datasets.looks import Looks
from ..registry.files import find_registered_model, read_labels
from ..registry.pull import read_card
from ..registry.versions import read_input_shape, read_looks
from ..trials.saved_model import load_model

if TYPE_CHECKING:
    import keras

AT_ONCE = 500  # images


@dataclass(frozen=True)
class ServedModel:
    """`predict` takes raw uint8 images (n, *shape) and returns probabilities (n, classes), in the order of `labels`."""

    name: str
    version: str
    shape: tuple[int, int, int]
    labels: list[str]
    looks: Looks | None
    card: str
    predict: Callable[[np.ndarray], np.ndarray]


def load_served_model(client: MlflowClient, version: ModelVersion) -> ServedModel:
    """Download, verify and load a version, and trace it. Raises InputError if it is not as it was registered, or not safe."""
    shape = read_input_shape(version)
    saved = find_registered_model(client, version)
    return ServedModel(
        name=version.name,
        version=str(version.version),
        shape=shape,
        labels=read_labels(saved),
        looks=read_looks(version),
        card=read_card(client, version),
        predict=trace(load_model(saved), shape),
    )


def trace(model: keras.Model, shape: tuple[int, int, int]) -> Callable[[np.ndarray], np.ndarray]:
    """A function of raw uint8 images: one graph for a single image, and one for any number, in batches that fit into memory.

    Keras's `predict` costs tens of milliseconds a call, whatever the model.
    """
    import tensorflow as tf

    from ...models.training.batches import limit_batch

    at_once = limit_batch(shape[0], shape[1], AT_ONCE)

    @tf.function
    def run(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(model(tf.cast(images, model.inputs[0].dtype), training=False), tf.float32)

    single, several = (run.get_concrete_function(tf.TensorSpec((count, *shape), tf.uint8)) for count in (1, None))

    def predict(images: np.ndarray) -> np.ndarray:
        if len(images) == 1:
            return single(tf.constant(images)).numpy()
        batches = [images[first : first + at_once] for first in range(0, len(images), at_once)]
        return np.concatenate([several(tf.constant(batch)).numpy() for batch in batches])

    for count in (1, 2):  # the first call of a graph also plans it
        predict(np.zeros((count, *shape), np.uint8))
    return predict
