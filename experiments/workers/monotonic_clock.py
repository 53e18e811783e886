"""Gives Dask's messages the monotonic clock in the whole process: a wall clock that is set back delays them by as much.

Import it before any loop runs, and only in our own processes. The coordinator runs in its host's process (own_loop.py).
"""

from __future__ import annotations

import time

import distributed.batched
import tornado.ioloop

tornado.ioloop.IOLoop.time = lambda self: time.monotonic()  # type: ignore[method-assign]
distributed.batched.time = time.monotonic

__all__: list[str] = []
