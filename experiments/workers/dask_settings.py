"""How Dask is set up for a search: no retries, clocks, pages or memory rules of its own."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask

from ..system.forkserver import METHOD
from . import monotonic_clock  # noqa: F401 (before any loop runs)

DASK_CONFIG: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 0,  # only the coordinator retries
    "distributed.worker.multiprocessing-method": METHOD,
    "distributed.scheduler.worker-ttl": None,  # it reads the wall clock, which may jump; see liveness.py
    "distributed.nanny.pre-spawn-environ": {},  # Dask's own trims malloc at 64 KiB, which costs TensorFlow 10–20 %
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.scheduler.http.routes": [],  # pages that nobody looks at: what is not served cannot be misused
    "distributed.worker.http.routes": [],
}


LOGGERS = ("distributed", *(f"distributed.{name}" for name in ("client", "worker", "nanny", "scheduler")), "bokeh", "tornado")


@contextmanager
def prepare(own: bool) -> Iterator[None]:
    """Set Dask up until this is left, and keep its chatter off the screen; then both are as they were.

    For workers of our own, what ~/.config/dask and DASK_… variables say does not count; to somebody's cluster it is the way.
    """
    before = {name: logging.getLogger(name).level for name in LOGGERS}
    shipped = {**dask.config.merge(*dask.config.defaults), "scheduler-address": None} if own else {}
    with dask.config.set({**shipped, **DASK_CONFIG}):
        try:
            for name in LOGGERS:
                logging.getLogger(name).setLevel(logging.CRITICAL)
            yield
        finally:
            for name, level in before.items():
                logging.getLogger(name).setLevel(level)
