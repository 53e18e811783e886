"""Ctrl-C, SIGTERM and a closed terminal: while a search runs, the first stops it cleanly, the second ends it at once.

A command handles these signals from its start (`Ending`). A library call leaves its host's handlers alone: while a search runs it
handles Ctrl-C only, and only if the host left it to Python.
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
AGAIN_SECONDS = 0.05  # until a signal that Python dropped is sent again
OUTPUTS = (1, 2)


class Interrupted(KeyboardInterrupt):
    """A signal, by its number, that ends what runs."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Ending:
    """A command's handler: raises Interrupted at every signal, and keeps the signals' numbers."""

    def __init__(self) -> None:
        self.caught: list[int] = []
        self._terminals = [output for output in OUTPUTS if os.isatty(output)]

    def __call__(self, number: int, frame: types.FrameType | None) -> None:
        self.hear(number)
        raise Interrupted(number)

    def hear(self, number: int) -> None:
        """Note a signal. If the terminal is gone, later output to it goes nowhere, because it would raise."""
        self.caught.append(number)
        for output in self._terminals:
            if not os.isatty(output):
                with suppress(OSError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), output)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals for the block, if this is the main thread; a closed terminal stays ignored under `nohup`.

        Ctrl-C is handled even if it is ignored: a shell starts background commands so.
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
        # Python prints and drops what is raised while a finalizer or a weak reference's callback runs.
        if isinstance(unraisable.exc_value, Interrupted):
            threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), unraisable.exc_value.number)).start()
        else:
            self._hook(unraisable)


@contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[list[int]]:
    """Call `stop` at the first signal, and raise Interrupted at each later one; yields the signals that came.

    Handles a command's signals, or Ctrl-C if Python's default handles it; the host's own handler stays.
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
