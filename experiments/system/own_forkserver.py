"""A separate fork server, as a start method for multiprocessing: the host's server and its `__main__` stay as they are.

multiprocessing has one server per process. With our modules in it, the host's own forks would carry TensorFlow; and if it runs
already, our forks would come without.
"""

from __future__ import annotations

import io
import multiprocessing.context
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver, popen_forkserver, reduction, resource_tracker, spawn, util
from multiprocessing.process import BaseProcess
from typing import Any

METHOD = "tailor"  # for multiprocessing.get_context, in any process that imports this
HELD_BACK = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # until the server ignores them (ignore_sigterm.py)
LEAKS = "ignore:resource_tracker:UserWarning"
MAIN = ("init_main_from_name", "init_main_from_path")


@contextmanager
def _start_method_undecided() -> Iterator[None]:
    """Leave the start method to the host: asking for the default, as we do here, fixes it, and the host can no longer set it."""
    before = multiprocessing.get_start_method(allow_none=True)
    try:
        yield
    finally:
        if before is None:
            multiprocessing.set_start_method(None, force=True)


def _start_tracker() -> None:
    """Start the process that removes what a killed search leaves in the system, without its warning about that."""
    sys.warnoptions.append(LEAKS)  # its command line takes them over
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(LEAKS)


class _Server(forkserver.ForkServer):
    """Starts with signals blocked: a terminal sends Ctrl-C to every process, and an import would print a long traceback."""

    _forkserver_pid: int | None
    _stop: Callable[[], None]

    def ensure_running(self) -> None:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
        try:
            _start_tracker()  # the first call unblocks some of them
            signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
            with _start_method_undecided():
                super().ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def end(self) -> None:
        if self._forkserver_pid is not None:
            os.kill(self._forkserver_pid, signal.SIGKILL)
        self._stop()


_server = _Server()


def start(preload: Sequence[str]) -> None:
    """Start the server with these modules; does nothing if it runs. It ends with this process, or by `end`."""
    _server.set_forkserver_preload(list(preload))
    _server.ensure_running()


def end() -> None:
    """End the server at once, if it runs. Its forks have already ended."""
    _server.end()


class _Popen(popen_forkserver.Popen):
    """multiprocessing's Popen, from our server and without the caller's `__main__`: a script needs no guard."""

    method = METHOD
    _fds: list[int]

    def _launch(self, process: Any) -> None:
        with _start_method_undecided():
            preparation = {name: value for name, value in spawn.get_preparation_data(process._name).items() if name not in MAIN}
        told = io.BytesIO()
        multiprocessing.context.set_spawning_popen(self)
        try:
            reduction.dump(preparation, told)
            reduction.dump(process, told)
        finally:
            multiprocessing.context.set_spawning_popen(None)
        self.sentinel, child = _server.connect_to_new_process(self._fds)
        alive = os.dup(child)  # the child watches its other end
        self.finalizer = util.Finalize(self, util.close_fds, (alive, self.sentinel))  # type: ignore[attr-defined]
        with open(child, "wb") as pipe:
            pipe.write(told.getbuffer())
        self.pid = forkserver.read_signed(self.sentinel)


class _Process(multiprocessing.context.ForkServerProcess):
    _start_method = METHOD

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> _Popen:
        return _Popen(process_obj)


class _Context(multiprocessing.context.ForkServerContext):
    _name = METHOD
    Process = _Process


multiprocessing.context._concrete_contexts[METHOD] = _Context()  # type: ignore[attr-defined]
