"""A separate process that loads models and scores them, so that TensorFlow and what it loads stay out of this one.

Like workers, it is forked from the process that has already imported TensorFlow.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from ..errors import RunError
from ..system.forkserver import METHOD, begin_loading
from .saved_model import SavedModel, load_model

T = TypeVar("T")
PID = "pid"  # the file in the process's folder that holds its number
CLOSED = "closed"  # the file there that says that it shall end


class Evaluator:
    """Owns the process; a context manager. It raises errors as the process raised them.

    If the block ends by an error, the process ends at once, also in the middle of a call by another thread, which fails.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads

    def __enter__(self) -> Evaluator:
        begin_loading()
        context = multiprocessing.get_context(METHOD)
        self._folder = tempfile.TemporaryDirectory(prefix="tailor-")
        given = (self._threads, self._folder.name)
        self._pool = ProcessPoolExecutor(1, mp_context=context, initializer=_prepare, initargs=given)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            Path(self._folder.name, CLOSED).touch()
            with suppress(OSError, ValueError):  # it has not begun, or is gone already
                os.kill(int(Path(self._folder.name, PID).read_text(encoding="utf-8")), signal.SIGKILL)
        self._pool.shutdown(cancel_futures=True)
        self._folder.cleanup()

    def predict(self, model: SavedModel, images: np.ndarray) -> np.ndarray:
        """Probabilities (n, classes) of raw uint8 images (n, height, width, channels)."""
        return self.call(_predict, model, images)

    def average(self, models: Sequence[SavedModel], weights: Sequence[int] | None = None) -> bytes:
        """The models' average as the bytes of one .keras file."""
        return self.call(_average, models, weights)

    def has_scaling(self, model: SavedModel) -> bool:
        """Whether something in the model scales raw images."""
        return self.call(_has_scaling, model)

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a module's function in the process."""
        try:
            return self._pool.submit(function, *arguments).result()
        except BrokenProcessPool as error:
            raise RunError("the process that loads models died; is the machine out of memory?") from error


def _end_with_parent() -> None:
    """End when the process that started this one ends: if it is killed, nothing else ends this one."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _prepare(threads: int | None, folder: str) -> None:
    Path(folder, PID).write_text(str(os.getpid()), encoding="utf-8")
    if Path(folder, CLOSED).exists():  # written before the number was looked for
        os._exit(1)
    tempfile.tempdir = folder  # TensorFlow leaves files there that it deletes in no forked process
    threading.Thread(target=_end_with_parent, daemon=True).start()
    start_tensorflow(threads)


def start_tensorflow(threads: int | None, at_once: int | None = None) -> None:
    """Import TensorFlow into this process, silently, and set Keras up.

    `threads` for one operation, None: all cores; `at_once`: operations that run side by side, None: TensorFlow's choice.
    """
    from ..system.silence import silence

    with silence():
        import tensorflow as tf

        from ...models.training.keras_config import set_standard

        set_standard()
        tf.get_logger().setLevel("ERROR")
        if threads is not None:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        if at_once is not None:
            tf.config.threading.set_inter_op_parallelism_threads(at_once)
        tf.constant(0)


def _predict(saved: SavedModel, images: np.ndarray) -> np.ndarray:
    from ...models.training.batches import limit_batch

    batch = limit_batch(images.shape[1], images.shape[2], 500)
    return load_model(saved).predict(images, batch_size=batch, verbose=0).astype("float32")  # a layer's own type may be another


def _average(models: Sequence[SavedModel], weights: Sequence[int] | None) -> bytes:
    from ...models.ensemble import average
    from .run import serialize

    return serialize(average([load_model(one) for one in models], weights))


def _has_scaling(saved: SavedModel) -> bool:
    from ...models.compiled import has_scaling

    return has_scaling(load_model(saved))
