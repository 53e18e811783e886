"""Ctrl-C, SIGTERM and a closed terminal: while a search runs, the first stops it cleanly, and a second one ends it at once.

A command takes these signals for itself from its first moment (`Ending`). A library call leaves its host's handlers alone; only
Ctrl-C is ours while a search runs, and only where the host left it to Python.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

NUMBERS: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_SECONDS = 0.05  # after which a signal that Python dropped is sent again
OUTPUTS = (1, 2)


class Interrupted(KeyboardInterrupt):
    """A signal that ends what runs, by its number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Ending:
    """A command's handler: raises Interrupted at every signal, and keeps the numbers that came."""

    def __init__(self) -> None:
        self.caught: list[int] = []
        self._terminals = [output for output in OUTPUTS if os.isatty(output)]

    def __call__(self, number: int, frame: types.FrameType | None) -> None:
        self.hear(number)
        raise Interrupted(number)

    def hear(self, number: int) -> None:
        """Take note of a signal; what is printed to a terminal that is gone goes nowhere from here on, as it would raise."""
        self.caught.append(number)
        for output in self._terminals:
            if not os.isatty(output):
                with suppress(OSError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), output)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take the signals for the block, where this is the main thread; a closed terminal stays ignored under `nohup`.

        Ctrl-C is taken where it is ignored, too: so a shell starts what runs in the background.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [number for number in NUMBERS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self) for number in numbers}
        hook, sys.unraisablehook = sys.unraisablehook, self._dropped
        self._hook = hook
        try:
            yield
        finally:
            sys.unraisablehook = hook
            for number, handler in before.items():
                signal.signal(number, handler)

    def _dropped(self, unraisable: sys.UnraisableHookArgs) -> None:
        # What is raised while a finalizer or a weak reference's callback happens to run, Python prints and drops.
        if isinstance(unraisable.exc_value, Interrupted):
            threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), unraisable.exc_value.number)).start()
        else:
            self._hook(unraisable)


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Call `stop` at the first signal, and raise Interrupted at every further one; yields the signals that came.

    Takes a command's signals, or Ctrl-C where it is Python's own; a handler of the host's stays.
    """
    caught: list[int] = []
    taken = {number: handler for number in NUMBERS if _ours(handler := signal.getsignal(number))}
    if threading.current_thread() is not threading.main_thread():
        taken = {}

    def handle(number: int, frame: types.FrameType | None) -> None:
        caught.append(number)
        handler = taken[number]
        if isinstance(handler, Ending):
            handler.hear(number)
        if len(caught) > 1:
            raise Interrupted(number)
        stop()

    for number in taken:
        signal.signal(number, handle)
    try:
        yield caught
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)


def _ours(handler: object) -> bool:
    return isinstance(handler, Ending) or handler is signal.default_int_handler
