"""The process that a job runs in: a cluster's worker is not ours, so its settings are put back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ...models.references import reading_kept
from ..system.folder import working_in
from .job import TrialJob


@contextmanager
def at_work(job: TrialJob) -> Iterator[None]:
    """Work in the job's folder and with its losses' copies for the block.

    Then put back the folder, the random states and Keras's dtype policy.
    """
    import keras

    policy, states = keras.config.dtype_policy(), (random.getstate(), np.random.get_state())
    try:
        with working_in(job.folder), reading_kept(job.losses):
            yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(states[0])
        np.random.set_state(states[1])
