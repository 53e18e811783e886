"""A model's LiteRT form, which predicts a small image in a tenth of TensorFlow's time; made only if it agrees with the model."""

from __future__ import annotations

import importlib.util
import io
import tempfile
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..system.silence import silence
from .saved_model import SavedModel, load_model

if TYPE_CHECKING:
    import keras

LARGEST = 1e-4  # difference of a probability from the model's own
PACKAGE = "ai_edge_litert"  # runs a LiteRT form without TensorFlow

Predict = Callable[[np.ndarray], np.ndarray]  # of raw uint8 images (n, *shape): probabilities (n, classes)


class Litert:
    """A LiteRT form, ready to predict. Takes raw uint8 images (n, *shape), returns probabilities (n, classes)."""

    def __init__(self, content: bytes) -> None:
        if has_litert():
            from ai_edge_litert.interpreter import Interpreter
        else:
            from tensorflow.lite.python.interpreter import Interpreter
        with silence():
            self._interpreter = Interpreter(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
        (given,), (made,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._given, self._made, self._dtype = given["index"], made["index"], given["dtype"]
        self._lock = threading.Lock()  # an interpreter holds one image

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.concatenate([self._predict(images[i : i + 1]) for i in range(len(images))])

    def _predict(self, image: np.ndarray) -> np.ndarray:
        with self._lock:
            self._interpreter.set_tensor(self._given, image.astype(self._dtype))
            self._interpreter.invoke()
            return self._interpreter.get_tensor(self._made).astype(np.float32)


def has_litert() -> bool:
    """Whether a LiteRT form can be run without TensorFlow."""
    return importlib.util.find_spec(PACKAGE) is not None


def trace(model: keras.Model, shape: tuple[int, int, int], count: int | None) -> Any:
    """One graph of the model, for so many raw uint8 images; None: any number."""
    import tensorflow as tf

    @tf.function(autograph=False)
    def run(images: tf.Tensor) -> tf.Tensor:
        return tf.cast(model(tf.cast(images, model.inputs[0].dtype), training=False), tf.float32)

    return run.get_concrete_function(tf.TensorSpec((count, *shape), tf.uint8))


def convert(model: keras.Model, graph: Any, shape: tuple[int, int, int]) -> bytes | None:
    """The LiteRT form of a model for one image; None if there is none, or if it differs from the model's graph for one image."""
    import keras
    import tensorflow as tf

    try:
        with silence(), redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as folder:
            images = model.inputs[0]
            # Keras's exporter calls it without `training`, and a layer such as Resizing would take that for training=True.
            fixed = keras.Model(images, model(images, training=False))
            signature = [keras.InputSpec(shape=(1, *shape), dtype=images.dtype, name="image")]
            file = Path(folder, "model.tflite")
            fixed.export(str(file), format="litert", verbose=False, input_signature=signature)
            content = file.read_bytes()
        return content if agree(Litert(content), lambda image: graph(tf.constant(image)).numpy(), shape) else None
    except Exception:  # a converter may raise anything: LiteRT lacks an operation, say
        return None


def agree(made: Predict, model: Predict, shape: tuple[int, int, int]) -> bool:
    """Whether both predict the same of images from black to white, one at a time: noise of every contrast, and even ones."""
    rng = np.random.default_rng(0)
    ends = np.sort(rng.integers(0, 256, (16, 2)), axis=1)
    noise = [rng.integers(low, high + 1, shape) for low, high in [(0, 255)] * 16 + ends.tolist()]
    images = np.stack([np.full(shape, gray) for gray in (0, 128, 255)] + noise).astype(np.uint8)
    return all(bool((np.abs(made(image) - model(image)) <= LARGEST).all()) for image in np.split(images, len(images)))


def convert_saved(saved: SavedModel, shape: tuple[int, int, int]) -> bytes | None:
    """The LiteRT form of a saved model, in a process with TensorFlow; None if it has none that agrees. Raises InputError."""
    model = load_model(saved)
    return convert(model, trace(model, shape, 1), shape)
