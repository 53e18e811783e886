"""The process that workers are forked from: it imports TensorFlow once (5 s), for all of them and for each restart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from . import own_forkserver
from .environment import environment
from .shared import Shared

TENSORFLOW_ENV = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "1",  # on by default only where there is AVX-512; without it a CNN takes half as long again
}
WORKER_ENV = {**TENSORFLOW_ENV, "KERAS_BACKEND": "tensorflow", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
METHOD = own_forkserver.METHOD
PRELOAD = [
    "tailor.experiments.system.ignore_sigterm",
    "distributed",
    "tailor.experiments.workers.worker",
    "tailor.experiments.workers.preload",
]


def begin_loading() -> None:
    """Start it, so that it loads while others do other things; the second call does nothing. It ends with this process."""
    os.environ.update({**WORKER_ENV, **os.environ})
    own_forkserver.start(PRELOAD)


def end_loading() -> None:
    """End it at once, and whatever waits for it; nothing where it does not run."""
    own_forkserver.end()


@contextmanager
def _loading() -> Iterator[None]:
    with environment(WORKER_ENV):
        begin_loading()
        try:
            yield
        finally:
            end_loading()


loading = Shared(_loading).held  # that process, for the block alone
