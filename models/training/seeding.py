"""Seeds everything that a model draws when it is built, without other threads' draws."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

from .keras_private import draw_seeds_from


@contextmanager
def seed_all(seed: int) -> Iterator[None]:
    """Seed Python, numpy, TensorFlow and Keras. Inside the block Keras's initial seeds come from a separate generator."""
    import keras

    keras.utils.set_random_seed(seed)
    with draw_seeds_from(random.Random(seed)):
        yield
