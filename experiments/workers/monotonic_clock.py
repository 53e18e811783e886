"""Gives Dask's messages the monotonic clock: by the wall clock, one that is set back holds them back for as long.

To be imported before any of Dask's loops runs, in the coordinator and in the workers that are forked for it.
"""

from __future__ import annotations

import time

import distributed.batched
import tornado.ioloop

tornado.ioloop.IOLoop.time = lambda self: time.monotonic()  # type: ignore[method-assign]
distributed.batched.time = time.monotonic

__all__: list[str] = []
