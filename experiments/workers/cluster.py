"""Dask's side of the workers: a cluster of our own on this machine, or somebody else's, and who is in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Client, LocalCluster
from tornado.ioloop import IOLoop

from ..errors import InputError
from ..system.environment import environment
from ..system.forkserver import METHOD
from ..system.log_levels import levels
from ..system.shared import Shared
from . import worker
from .own_loop import own_loop

DASK_CONFIG: dict[str, Any] = {
    "distributed.scheduler.allowed-failures": 0,  # only the coordinator retries
    "distributed.worker.multiprocessing-method": METHOD,
    "distributed.scheduler.worker-ttl": None,  # it reads the wall clock, which may jump; see Pool.watch
    "distributed.nanny.pre-spawn-environ": {},  # Dask's own trims malloc at 64 KiB, which costs TensorFlow 10–20 %
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.scheduler.http.routes": [],  # pages that nobody looks at: what is not served cannot be misused
    "distributed.worker.http.routes": [],
}
LEFT = ("PYTHONHASHSEED", "__DASK_PARENT_PID")  # variables that Dask sets when it starts processes, and leaves
CHATTY = ("distributed", "distributed.worker", "distributed.nanny", "distributed.scheduler", "bokeh", "tornado")


@contextmanager
def prepared() -> Iterator[IOLoop]:
    """Set Dask up for the block, with a loop of our own to run on; its chatter stays off the screen. All is put back after it."""
    with _settings.held(), own_loop() as loop:
        yield loop


@contextmanager
def _set_up() -> Iterator[None]:
    with environment({}, also=LEFT), levels(dict.fromkeys(CHATTY, logging.CRITICAL)), dask.config.set(DASK_CONFIG):
        yield


_settings = Shared(_set_up)


def local(count: int, threads: int, loop: IOLoop) -> LocalCluster:
    """A cluster of `count` worker processes of `threads` threads each, for trials alone."""
    return LocalCluster(
        n_workers=count,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        silence_logs=logging.CRITICAL,
        loop=loop,
        memory_limit=0,
        preload=["tailor.experiments.workers.worker"],
        env={worker.THREADS: str(threads), worker.COUNT: str(count)},
    )


def connect(address: str, loop: IOLoop) -> Client:
    """A client of the scheduler at `address`. Raises InputError where none answers, or it has no workers."""
    try:
        client = Client(address, timeout=5, loop=loop, set_as_default=False)  # the host's default stays its own
    except (OSError, ValueError) as error:
        raise InputError(
            f"--cluster: no Dask scheduler answers at {address!r} ({type(error).__name__}); start one with `dask scheduler` "
            "and workers with `dask worker ADDRESS --nthreads 1`."
        ) from error
    if not addresses(client):
        client.close()
        raise InputError(f"--cluster: the scheduler at {address} has no workers; start some with `dask worker {address}`.")
    return client


def addresses(client: Client) -> list[str]:
    """The workers that there are now."""
    return list(client.scheduler_info(n_workers=-1)["workers"])


def process_of(client: Client, cluster: LocalCluster, key: str) -> int | None:
    """The process of the worker of ours that was given the task; None where none has it yet."""
    places = [address for address, keys in client.processing().items() if key in keys]
    return next((nanny.pid for nanny in cluster.workers.values() if nanny.worker_address in places), None)
