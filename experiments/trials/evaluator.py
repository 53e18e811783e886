"""A process of its own that loads models and scores them, so that TensorFlow and what it loads stay out of this one."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..datasets.images import Images
from ..errors import RunError
from ..system.environment import environment
from ..system.forkserver import TENSORFLOW_ENV
from .metrics import Evaluation, evaluate
from .saved_model import SavedModel, load_model

if TYPE_CHECKING:
    pass

T = TypeVar("T")


class Evaluator:
    """Owns the process; a context manager. Its errors come through as they were raised."""

    def __init__(self, threads: int | None = None, method: str = "spawn") -> None:
        self._threads = threads
        self._method = method

    def __enter__(self) -> Evaluator:
        context = multiprocessing.get_context(self._method)
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_prepare, initargs=(self._threads,))
        with environment(TENSORFLOW_ENV):
            self._pool.submit(os.getpid)  # the process starts with these variables
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


def _prepare(threads: int | None) -> None:
    from ..system.silence import quiet

    with quiet():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.constant(0)


def _predict(saved: SavedModel, images: np.ndarray) -> np.ndarray:
    from ...models.training.batches import at_once

    return load_model(saved).predict(images, batch_size=at_once(images.shape[1], images.shape[2], 500), verbose=0)


def _score(saved: SavedModel, images: Images, classes: int) -> Evaluation:
    probabilities = _predict(saved, images.images).astype(np.float64)
    right = np.clip(probabilities[np.arange(len(images)), images.labels], 1e-7, 1.0)
    guesses = probabilities.argmax(axis=1)
    return evaluate(images.labels, guesses, probabilities.max(axis=1), float(-np.log(right).mean()), classes)
