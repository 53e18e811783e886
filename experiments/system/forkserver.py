"""The process that workers are forked from: it imports TensorFlow once (5 s), for all of them and for each restart."""

from __future__ import annotations

import multiprocessing
from multiprocessing import forkserver

from .environment import WORKER_ENV, inherit_settings

METHOD = "forkserver"
PRELOAD = [
    "tailor.experiments.system.ignore_sigterm",
    "distributed",
    "tailor.experiments.workers.worker",
    "tailor.experiments.workers.preload",
]


def begin_loading() -> None:
    """Start it, so that it loads while others do other things; the second call does nothing. It ends with this process."""
    multiprocessing.get_context(METHOD).set_forkserver_preload(PRELOAD)
    with inherit_settings(WORKER_ENV):
        forkserver.ensure_running()
