"""How Dask is set up for a search: no retries, clocks, pages or memory rules of its own."""

from __future__ import annotations

import logging
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


def prepare() -> dask.config.set:
    """Set Dask up for what follows, until what is returned is left; its chatter stays off the screen."""
    for name in ("distributed", "distributed.worker", "distributed.nanny", "distributed.scheduler", "bokeh", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return dask.config.set(DASK_CONFIG)
