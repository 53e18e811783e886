"""A model's first weights are a function of the seed, whatever other threads draw meanwhile."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import numpy as np

from tailor.models.factory import resolve
from tailor.models.training.seeding import seed_all


def first_weights(meanwhile: Callable[[], object]) -> list[np.ndarray]:
    """Of a network for whose every layer something else draws, too."""
    with seed_all(7):
        meanwhile()
        model = resolve("mlp")({"depth": 3, "units": 8}, (8, 8, 1), 10)
    return [weight.numpy() for weight in model.weights]


def in_a_thread() -> None:
    thread = threading.Thread(target=random.random)
    thread.start()
    thread.join()


def test_another_threads_draws_do_not_change_the_weights() -> None:
    for ours, theirs in zip(first_weights(in_a_thread), first_weights(lambda: None), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_seed_does() -> None:
    alone = first_weights(lambda: None)
    with seed_all(8):
        other = [weight.numpy() for weight in resolve("mlp")({"depth": 3, "units": 8}, (8, 8, 1), 10).weights]
    assert any(not np.array_equal(one, two) for one, two in zip(alone, other, strict=True))
