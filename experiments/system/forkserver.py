"""The process that workers are forked from: it imports TensorFlow once (5 s), for all workers and each restart."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import RunError
from . import own_forkserver
from .environment import WORKER_ENV, inherit_settings
from .shared import Shared

METHOD = own_forkserver.METHOD
PRELOAD = [
    "tailor.experiments.system.ignore_sigterm",
    "distributed",
    "tailor.experiments.workers.worker",
    "tailor.experiments.workers.preload",
]


def begin_loading() -> None:
    """Start it, so that it loads in the background; a second call does nothing. It ends with this process.

    Raises RunError in a daemonic process, which Python allows no processes of its own.
    """
    if multiprocessing.current_process().daemon:
        raise RunError(
            "Tailor starts processes, and this one may have none: it is daemonic, as those of multiprocessing.Pool. "
            'Use concurrent.futures.ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")), or threads.'
        )
    with inherit_settings(WORKER_ENV):
        own_forkserver.start(PRELOAD)


def end_loading() -> None:
    """End it at once, and everything that waits for it; does nothing if it does not run."""
    own_forkserver.end()


@contextmanager
def _load() -> Iterator[None]:
    begin_loading()
    try:
        yield
    finally:
        end_loading()


loading = Shared(_load).held  # keeps that process for the block
