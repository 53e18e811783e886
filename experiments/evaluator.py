"""A process of its own that loads models and scores them, so that TensorFlow and what it loads stay out of this one."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, TracebackType
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
    from models.factory import load_file

    if saved.path.suffix != ".keras":
        raise InputError(f"{saved.path.name}: only .keras files are loaded (in safe mode); .h5 and pickles can run any code.")
    saved.verify()
    module = None if saved.source is None else load_file(saved.source)
    try:
        return _load(saved.path, module)
    except Exception as error:  # what a file of somebody's may lead to is anything
        raise InputError(
            f"{saved.path.name}: Keras refuses to load it in safe mode ({(str(error).splitlines() or [''])[0][:300]}). "
            "Lambda layers are never loaded; other layers of one's own need the factory's file (model = \"nets/mine.py:build\")."
        ) from error


def _load(path: Path, module: ModuleType | None) -> keras.Model:
    """Load it with the module's classes: safe mode imports nobody's, so they must be known before."""
    import keras

    own = {} if module is None else {key: value for key, value in vars(module).items() if isinstance(value, type)}
    return keras.saving.load_model(path, custom_objects=own, compile=False, safe_mode=True)


def refused(model: keras.Model, saved: bytes, module: ModuleType | None) -> str:
    """Why its saved form could not be promoted, and what to do; empty where it can be.

    `module` is that of a factory named by its file, which travels with its models; None for any other.
    """
    import keras

    own = [layer for layer in model._flatten_layers() if type(layer).__module__.partition(".")[0] not in KERAS]
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Lambda):
            return f"{layer.name} is a Lambda layer, which is never loaded; write it as a layer of its own"
    if own and module is None:
        place, name = type(own[0]).__module__, type(own[0]).__name__
        return f"{name} comes from {place}; name the factory by its file, which travels with its models (nets/mine.py:build)"
    return _loaded_again(model, saved, module) if module is not None else ""


def _loaded_again(model: keras.Model, saved: bytes, module: ModuleType) -> str:
    """Why the saved form is not what was saved; empty where it predicts the same."""
    import keras

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(saved)
        try:
            again = _load(path, module)
        except Exception as error:  # whatever a layer of somebody's own raises
            said = (str(error).strip().splitlines() or [""])[0][:200]
            return (
                f"saved and loaded again it fails ({said}); give each layer of its own **kwargs in __init__ and a get_config, "
                "and register functions of its own with @keras.saving.register_keras_serializable()"
            )
    raw = np.random.default_rng(0).integers(0, 256, (8, *model.inputs[0].shape[1:]))
    images = keras.ops.cast(raw, model.inputs[0].dtype)
    before, same, after = (np.asarray(one(images, training=False), "float32") for one in (model, model, again))
    if np.allclose(before, after, atol=1e-3) or not np.allclose(before, same, atol=1e-3):  # some models draw
        return ""
    return "saved and loaded again it predicts otherwise; give each layer of its own a get_config with all that it was made with"


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
