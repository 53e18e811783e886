"""`driver.py FAULT [ARGUMENT…] -- TAILOR'S ARGUMENTS`: Tailor, in a process that brings a fault on itself at a chosen moment.

The product knows nothing of it: a function of it is wrapped here, before it runs.
"""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any


def die() -> None:
    """As by `kill -9`."""
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(owner: Any, name: str, number: int, when: str, wanted: Callable[..., bool] = lambda *a, **k: True) -> None:
    """Die before or after the n-th (from 1) wanted call of a method."""
    plain, seen = getattr(owner, name), [0]

    def wrapped(*arguments: Any, **named: Any) -> Any:
        due = False
        if wanted(*arguments, **named):
            seen[0] += 1
            due = seen[0] == number
        if due and when == "before":
            die()
        result = plain(*arguments, **named)
        if due:
            die()
        return result

    setattr(owner, name, wrapped)


def entry(kind: str, when: str, number: str) -> None:
    """Die before or after the n-th entry of that kind is written to MLflow."""
    from tailor.experiments.tracking.entries import KINDS
    from tailor.experiments.tracking.writer import Writer

    def is_wanted(_: Writer, entry: Any, again: bool) -> bool:
        return type(entry) is KINDS[kind] and entry.attempt is not None

    at_call(Writer, "write", int(number), when, is_wanted)


def tell(when: str, number: str) -> None:
    """Die before or after the engine is told of its n-th trial's end."""
    from tailor.search.engines.optuna import OptunaEngine

    at_call(OptunaEngine, "tell", int(number), when)


def call(target: str, when: str, number: str) -> None:
    """Die before or after the n-th call of MODULE:NAME or MODULE:CLASS.NAME."""
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for part in owners:
        owner = getattr(owner, part)
    at_call(owner, name, int(number), when)


def oom() -> None:
    """Let the kernel's count of processes that it killed for want of memory rise whenever it is looked at."""
    from tailor.experiments.system import memory

    memory.count_kills = itertools.count().__next__


def clock(seconds: str, after: str) -> None:
    """Let the wall clock jump by so many seconds, so many seconds from now."""
    plain, jump_at = time.time, time.monotonic() + float(after)
    time.time = lambda: plain() + (float(seconds) if time.monotonic() >= jump_at else 0.0)


if __name__ == "__main__":
    cut = sys.argv.index("--")
    fault, *given = sys.argv[1:cut]
    {"entry": entry, "tell": tell, "call": call, "oom": oom, "clock": clock}[fault](*given)
    from tailor.experiments.cli import main

    sys.argv[1:] = sys.argv[cut + 1 :]
    main(sys.argv[1:])
