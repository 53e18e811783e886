"""Ctrl-C and SIGTERM while a search runs: the first stops it cleanly, a second one at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager

AGAIN_SECONDS = 0.05  # after which a signal that Python dropped is sent again


class Interrupted(KeyboardInterrupt):
    """A second signal, by its number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Call `stop` at the first signal, and raise Interrupted at every further one; yields the signals that came."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return

    def handle(number: int, frame: types.FrameType | None) -> None:
        caught.append(number)
        if len(caught) > 1:
            raise Interrupted(number)
        stop()

    def dropped(unraisable: sys.UnraisableHookArgs) -> None:
        # What is raised while a finalizer or a weak reference's callback happens to run, Python prints and drops.
        if unraisable.exc_type is Interrupted:
            threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), caught[-1])).start()
        else:
            hook(unraisable)

    hook, sys.unraisablehook = sys.unraisablehook, dropped
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook
