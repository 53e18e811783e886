"""A separate loop for Dask, in its own thread, by the monotonic clock; the host's loops keep their clock.

A wall clock that is set back delays messages by as much.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import distributed.batched
from tornado.ioloop import IOLoop
from tornado.platform.asyncio import AsyncIOLoop

from ..errors import RunError
from ..system.shared import Shared

_users = set[int]()  # the processes that have used Dask through a loop of ours: this one, and those it was forked from
STOP_SECONDS = 10.0  # for what still runs on the loop when it ends


class MonotonicLoop(AsyncIOLoop):
    """A loop whose deadlines no change of the wall clock moves."""

    def time(self) -> float:
        return time.monotonic()


@contextmanager
def own_loop() -> Iterator[IOLoop]:
    """Run such a loop for the block, in a daemon thread that ends with it.

    Raises RunError in a fork of a process that has had one.
    """
    _refuse_fork()
    started: Future[tuple[IOLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        stop = asyncio.Event()
        started.set_result((MonotonicLoop(asyncio_loop=asyncio.get_running_loop(), make_current=False), stop))
        await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="tailor: Dask's loop", daemon=True)
    with _batches.held():
        thread.start()
        loop, stop = started.result()
        try:
            yield loop
        finally:
            loop.add_callback(stop.set)
            thread.join(STOP_SECONDS)


def _refuse_fork() -> None:
    """Raise RunError in a fork of a process that has used Dask: the fork has Dask's state, and none of its threads."""
    if _users - {os.getpid()}:
        raise RunError(
            "this process was forked from one that has run a study, and no study can run in it; start it by "
            'multiprocessing.get_context("spawn"), or fork before the first study.'
        )
    _users.add(os.getpid())


@contextmanager
def _batches_by_their_loop() -> Iterator[None]:
    """Let Dask's batches of messages read the clock of the loop that sends them; the host's loops keep their clock.

    By default Dask reads the wall clock there, and gives that time to the loop as a deadline.
    """
    plain = distributed.batched.time

    def now() -> float:
        return time.monotonic() if isinstance(IOLoop.current(instance=False), MonotonicLoop) else plain()

    distributed.batched.time = now
    try:
        yield
    finally:
        distributed.batched.time = plain


_batches = Shared(_batches_by_their_loop)
