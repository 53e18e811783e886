"""Dask's settings for a search: without its own retries, clocks, pages and memory rules."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import dask
from tornado.ioloop import IOLoop

from ..system.environment import default_variables
from ..system.forkserver import METHOD
from ..system.log_levels import levels
from ..system.shared import Shared
from .own_loop import own_loop

DASK_CONFIG: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 0,  # only the coordinator retries
    "distributed.worker.multiprocessing-method": METHOD,
    "distributed.scheduler.worker-ttl": None,  # Dask reads the wall clock, which may jump; see liveness.py
    "distributed.nanny.pre-spawn-environ": {},  # Dask's default trims malloc at 64 KiB, which slows TensorFlow by 10–20 %
    "distributed.worker.profile.enabled": False,  # nobody reads it, and it takes a megabyte of each second for an hour
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.scheduler.http.routes": [],  # pages without readers: what is not served cannot be misused
    "distributed.worker.http.routes": [],
}


LOGGERS = ("distributed", *(f"distributed.{name}" for name in ("client", "worker", "nanny", "scheduler")), "bokeh", "tornado")
LEFT = ("PYTHONHASHSEED", "__DASK_PARENT_PID")  # variables that Dask sets when it starts processes, and does not remove


@contextmanager
def prepare(own: bool) -> Iterator[IOLoop]:
    """Set Dask up for the block, on a separate loop, with its log off the screen. Everything is put back afterwards.

    Our own workers ignore ~/.config/dask and DASK_… variables; the connection to a cluster uses them.
    """
    with (_own if own else _theirs).held(), own_loop() as loop:
        yield loop


@contextmanager
def _set_up(own: bool) -> Iterator[None]:
    shipped = {**dask.config.merge(*dask.config.defaults), "scheduler-address": None} if own else {}
    quiet = dict.fromkeys(LOGGERS, logging.CRITICAL)
    with default_variables({}, also=LEFT), levels(quiet), dask.config.set({**shipped, **DASK_CONFIG}):
        yield


_own, _theirs = (Shared(partial(_set_up, own)) for own in (True, False))
