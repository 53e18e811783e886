"""TensorFlow and the training engine, imported once in the process that workers are forked from (see pool.py).

Nothing runs here, it is only imported: a fork is safe as long as TensorFlow has started no thread.
"""

from __future__ import annotations

from experiments.quiet import quiet

with quiet():
    import tensorflow as tf

    import models.training.fit

tf.get_logger().setLevel("ERROR")

__all__ = ["models", "tf"]
