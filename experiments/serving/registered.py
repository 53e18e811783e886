"""A registered version that is loaded to be served, its predictions by its fastest form."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from ..registry.files import find_registered_model, read_labels
from ..registry.pull import read_card
from ..registry.versions import read_input_shape, read_looks
from ..trials.litert import Litert, Predict, convert, trace
from ..trials.saved_model import load_model
from .model import ServedModel, is_quick

if TYPE_CHECKING:
    import keras

AT_ONCE = 500  # images


def load_served_model(client: MlflowClient, version: ModelVersion) -> ServedModel:
    """Download, verify and load a version, and trace it. Raises InputError if it is not as it was registered, or not safe."""
    shape = read_input_shape(version)
    with tempfile.TemporaryDirectory(prefix="tailor-serve-") as folder:
        saved = find_registered_model(client, version, Path(folder))
        model, labels = load_model(saved), read_labels(saved)
    predict, quick = prepare_predictions(model, shape)
    return ServedModel(
        name=version.name,
        version=str(version.version),
        shape=shape,
        labels=labels,
        looks=read_looks(version),
        card=read_card(client, version),
        predict=predict,
        quick=quick,
    )


def prepare_predictions(model: keras.Model, shape: tuple[int, int, int]) -> tuple[Predict, bool]:
    """A function of raw uint8 images, and whether it is quick: one graph for a single image, and one for any number, in batches.

    Keras's `predict` costs tens of milliseconds a call, whatever the model, a graph's call half a millisecond. If that counts,
    the model's LiteRT form predicts a single image, unless it differs from the graph.
    """
    import tensorflow as tf

    from ...models.training.batches import limit_batch

    at_once = limit_batch(shape[0], shape[1], AT_ONCE)
    graph, graph_of_several = trace(model, shape, 1), trace(model, shape, None)

    def predict_one(image: np.ndarray) -> np.ndarray:
        return graph(tf.constant(image)).numpy()

    def predict_several(images: np.ndarray) -> np.ndarray:
        batches = [images[first : first + at_once] for first in range(0, len(images), at_once)]
        return np.concatenate([graph_of_several(tf.constant(batch)).numpy() for batch in batches])

    quick = is_quick(predict_one, shape)
    content = convert(model, graph, shape) if quick else None
    predict_single: Predict = predict_one if content is None else Litert(content)
    predict_several(np.zeros((2, *shape), np.uint8))  # the first call of a graph also plans it
    return lambda images: predict_single(images) if len(images) == 1 else predict_several(images), quick
