"""Gives Dask's messages the monotonic clock in a whole process: one that is set back would hold them back for as long.

To be imported before any loop runs, into processes that are ours alone. The coordinator's is its host's (own_loop.py).
"""

from __future__ import annotations

import time

import distributed.batched
import tornado.ioloop

tornado.ioloop.IOLoop.time = lambda self: time.monotonic()  # type: ignore[method-assign]
distributed.batched.time = time.monotonic

__all__: list[str] = []
