"""TensorFlow and the training engine, imported once in the process that workers are forked from (see pool.py).

It is only imported and runs nothing: a fork is safe as long as TensorFlow has started no thread.
"""

from __future__ import annotations

import atexit
import gc

from ..system.late_imports import loaded_late
from ..system.silence import silence
from . import monotonic_clock  # the first loop runs in a worker

PARTS = ("wrappers", "visualization")  # of Keras: they import scikit-learn and pyplot, a second for what few factories use


def is_late(name: str) -> bool:
    """Whether a module is one of the PARTS, in any of Keras's packages that have one."""
    return name.startswith("keras.") and name.rpartition(".")[2] in PARTS


atexit.register(gc.freeze)  # this process ends at once, without a second of searching TensorFlow's objects

with silence(), loaded_late(is_late):
    import tensorflow as tf

    from ...models.training import fit, keras_config

keras_config.set_standard()
tf.get_logger().setLevel("ERROR")

__all__ = ["fit", "monotonic_clock", "tf"]
