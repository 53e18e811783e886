"""Seeds all that a model draws when it is built, and keeps other threads' draws out of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python, numpy, TensorFlow and Keras. Inside the block Keras's initial seeds come from a generator of their own.

    Keras takes them from Python's `random`, which belongs to the whole process: when another thread draws from it (Dask's do,
    now and then), the network begins with other weights.
    """
    import keras
    from keras.src.random import seed_generator  # there is no public way

    keras.utils.set_random_seed(seed)
    shared = seed_generator.python_random
    seed_generator.python_random = random.Random(seed)
    try:
        yield
    finally:
        seed_generator.python_random = shared
