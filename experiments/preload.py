"""TensorFlow and the training engine, imported once in the process that workers are forked from (see pool.py).

Nothing runs here, it is only imported: a fork is safe as long as TensorFlow has started no thread.
"""

from __future__ import annotations

import atexit
import gc

import experiments.clocks
from experiments.quiet import quiet

atexit.register(gc.freeze)  # this process ends at once, rather than after a second of looking through TensorFlow's objects

with quiet():
    import tensorflow as tf

    import models.training.fit

tf.get_logger().setLevel("ERROR")

__all__ = ["experiments", "models", "tf"]
