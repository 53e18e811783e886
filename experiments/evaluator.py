"""A process of its own that loads models and scores them, so that TensorFlow and what it loads stay out of this one."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from experiments.datasets.images import Images
from experiments.errors import InputError, RunError
from experiments.evaluation import Evaluation, evaluate
from experiments.workshop import TENSORFLOW_ENV

if TYPE_CHECKING:
    import keras

T = TypeVar("T")
KERAS = ("keras", "keras_hub", "keras_cv", "keras_nlp")  # whose layers safe mode imports


@dataclass(frozen=True)
class SavedModel:
    """A .keras file and the source file of its own layers, where it has some, with the checksums that they must have."""

    path: Path
    sha256: str
    source: Path | None = None
    source_sha256: str | None = None

    def verify(self) -> None:
        """Raise InputError where a file is not the one that was registered."""
        for path, wanted in ((self.path, self.sha256), (self.source, self.source_sha256)):
            if path is not None and (got := hashlib.sha256(path.read_bytes()).hexdigest()) != wanted:
                raise InputError(f"{path}: its SHA-256 is {got}, not the registered {wanted}; the file was changed.")


class Evaluator:
    """Owns the process; a context manager. Its errors come through as they were raised."""

    def __init__(self, threads: int | None = None, method: str = "spawn") -> None:
        self._threads = threads
        self._method = method

    def __enter__(self) -> Evaluator:
        os.environ.update({**TENSORFLOW_ENV, **os.environ})
        context = multiprocessing.get_context(self._method)
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_prepare, initargs=(self._threads,))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

    def score(self, model: SavedModel, images: Images, classes: int) -> Evaluation:
        """Evaluate a model on raw images."""
        return self.call(_score, model, images, classes)

    def predict(self, model: SavedModel, images: np.ndarray) -> np.ndarray:
        """Probabilities (n, classes) of raw uint8 images (n, height, width, channels)."""
        return self.call(_predict, model, images)

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a module's function in the process."""
        try:
            return self._pool.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise RunError("the process that loads models died; is the machine out of memory?") from error


def load_model(saved: SavedModel) -> keras.Model:
    """Load a .keras file in safe mode. Raises InputError where its checksum differs or it holds what is not safe to load."""
    import keras

    from models.factory import load_file

    if saved.path.suffix != ".keras":
        raise InputError(f"{saved.path.name}: only .keras files are loaded (in safe mode); .h5 and pickles can run any code.")
    saved.verify()
    layers: dict[str, Any] = {}
    if saved.source is not None:  # safe mode imports nobody's layers: they must be known before
        module = load_file(saved.source)
        layers = {key: value for key, value in vars(module).items() if isinstance(value, type)}
    try:
        return keras.saving.load_model(saved.path, custom_objects=layers, compile=False, safe_mode=True)
    except Exception as error:  # what a file of somebody's may lead to is anything
        raise InputError(
            f"{saved.path.name}: Keras refuses to load it in safe mode ({(str(error).splitlines() or [''])[0][:300]}). "
            "Lambda layers are never loaded; other layers of one's own need the factory's file (model = \"nets/mine.py:build\")."
        ) from error


def refused(model: keras.Model, own_file: bool) -> str:
    """The layer for which `load_model` will refuse the model once it is saved, and what to do; empty where there is none.

    `own_file` says that the factory is named by its file, which travels with its models.
    """
    import keras

    for layer in model._flatten_layers():
        place, name = type(layer).__module__, type(layer).__name__
        if isinstance(layer, keras.layers.Lambda):
            return f"{layer.name} is a Lambda layer, which is never loaded; write it as a layer of its own"
        if not own_file and place.partition(".")[0] not in KERAS:
            return f"{name} comes from {place}; name the factory by its file, which travels with its models (nets/mine.py:build)"
        if not isinstance(layer, keras.Model) and not _made_again(layer):
            return f"{name} cannot be made again from its config; give its __init__ **kwargs, and the layer a get_config"
    return ""


def _made_again(layer: Any) -> bool:
    try:
        type(layer).from_config(layer.get_config())
    except Exception:  # whatever a layer of somebody's own raises
        return False
    return True


def _prepare(threads: int | None) -> None:
    from experiments.quiet import quiet

    with quiet():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.constant(0)


def _predict(saved: SavedModel, images: np.ndarray) -> np.ndarray:
    from models.training.feed import at_once

    return load_model(saved).predict(images, batch_size=at_once(images.shape[1], images.shape[2], 500), verbose=0)


def _score(saved: SavedModel, images: Images, classes: int) -> Evaluation:
    probabilities = _predict(saved, images.images).astype(np.float64)
    right = np.clip(probabilities[np.arange(len(images)), images.labels], 1e-7, 1.0)
    guesses = probabilities.argmax(axis=1)
    return evaluate(images.labels, guesses, probabilities.max(axis=1), float(-np.log(right).mean()), classes)
