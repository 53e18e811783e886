"""A context that blocks in several threads share: it begins with the first block and ends with the last."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager


class Shared:
    """A context manager for the whole process, such as a setting. If each of two blocks put it back, one would do it wrongly."""

    def __init__(self, make: Callable[[], AbstractContextManager[None]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._users = 0
        self._inside = ExitStack()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it for the block."""
        with self._lock:
            if not self._users:
                self._inside.enter_context(self._make())
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._inside.close()
