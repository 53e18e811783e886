"""Two ways to run `tailor` as a user does: in this process, which has imported everything already, and in one of its own."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TAILOR = Path(sys.executable).parent / "tailor"
NEVER = 3600.0  # seconds: whether a command says that it works depends on the machine
Done = subprocess.CompletedProcess[str]
LOADING = (
    "search",
    "check",
    "lr-range",
    "promote",
    "predict",
    "export",
    "compress",
    "reproduce",
)  # commands that fork with TensorFlow


@dataclass(frozen=True)
class Shell:
    """Runs `tailor` in a folder of its own, within this process: the command's code, output and exit code are a terminal's.

    The processes that it starts are real. The one that its workers are forked from stays for the next command, so what they print
    themselves, and what they read of the environment as they are loaded, is for `OwnProcess`.
    """

    folder: Path

    def __call__(self, *arguments: str, **environment: str) -> Done:
        from tailor.experiments.cli import run

        if arguments[:1] and arguments[0] in LOADING:
            _keep_warm()
        with _as_started_in(self.folder, ["tailor", *arguments], environment), _captured() as said:
            code = run(list(arguments))
        return subprocess.CompletedProcess(arguments, code, *said)


@dataclass(frozen=True)
class OwnProcess:
    """Runs `tailor` in a folder of its own and a new process, for what only one shows: its start, its environment, its end."""

    folder: Path

    def __call__(self, *arguments: str, **environment: str) -> Done:
        return subprocess.run(
            [str(TAILOR), *arguments],
            cwd=self.folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )


_WARM = contextlib.ExitStack()  # until this process ends


@functools.cache
def _keep_warm() -> None:
    """Start the process that workers are forked from, once, and keep it when a command is over."""
    from tailor.experiments.system.forkserver import loading

    _WARM.enter_context(loading())


@contextlib.contextmanager
def _as_started_in(folder: Path, words: list[str], environment: dict[str, str]) -> Iterator[None]:
    """The process as a command finds it there; its folder, arguments, environment, signals and loggers are put back."""
    from tailor.experiments.cli import screen

    argv, environ, path = sys.argv, dict(os.environ), list(sys.path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    levels = {name: logger.level for name, logger in _loggers().items()}
    os.environ.update(environment)
    sys.argv, at_once, screen.AT_ONCE = words, screen.AT_ONCE, NEVER
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        screen.AT_ONCE = at_once
        sys.argv, sys.path[:] = argv, path
        os.environ.clear()
        os.environ.update(environ)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for name, logger in _loggers().items():
            logger.setLevel(levels.get(name, logger.level))


def _loggers() -> dict[str, logging.Logger]:
    return {name: found for name, found in logging.root.manager.loggerDict.items() if isinstance(found, logging.Logger)}


@contextlib.contextmanager
def _captured() -> Iterator[list[str]]:
    """Send standard output and error to files, by their descriptors: what child processes and C libraries print comes too.

    Their texts are in the list when it is over.
    """
    said: list[str] = []
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        streams, before = (sys.stdout, sys.stderr), (os.dup(1), os.dup(2))
        for stream in streams:
            stream.flush()
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout, sys.stderr = _OUT, _ERR
        try:
            yield said
        finally:
            _OUT.flush()
            _ERR.flush()
            sys.stdout, sys.stderr = streams
            for number, kept in enumerate(before, 1):
                os.dup2(kept, number)
                os.close(kept)
            for file in (out, err):
                file.seek(0)
                said.append(file.read().decode())


# One pair for all: a logger that keeps the standard error that it found writes to the next command's, and not to a closed file.
_OUT, _ERR = (os.fdopen(number, "w", encoding="utf-8", closefd=False, buffering=1) for number in (1, 2))
