"""Runs the web server, uvicorn, on a port of this machine until a signal ends it; in one process, or several on the one port."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from ..errors import InputError, RunError, escape_path
from ..store import Store
from ..system.cpus import count_cores
from .limits import FEW_PIXELS, SHARED
from .patience import Patience

if TYPE_CHECKING:
    from fastapi import FastAPI

    from .model import Answering

HERE = ("127.0.0.1", "localhost")  # names that a browser on this machine uses
ANY = ("*",)  # names by which others may reach another address
BACKLOG = 2048  # connections that wait to be accepted
MOST_CONNECTIONS = 64  # of one process, each with at most MOST_BYTES; further ones get 503
SILENT_SECONDS = 60  # until a process that does not respond is replaced: importing TensorFlow takes several
LAST_SECONDS = 5  # for requests that run when a signal comes
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy from the environment would get these requests


@dataclass(frozen=True)
class Registered:
    """A version of the registry, which follows its alias."""

    store: Store
    reference: str
    threads: int

    def load(self) -> Answering:
        from ..tracking.reader import open_client
        from ..trials.evaluator import start_tensorflow
        from .live import Live

        start_tensorflow(self.threads, at_once=1)
        live = Live(open_client(self.store), self.reference)
        live.follow()
        return live


@dataclass(frozen=True)
class Exported:
    """The folder of an export, as it is now."""

    folder: Path

    def load(self) -> Answering:
        from .exported import load_exported
        from .model import Fixed

        return Fixed(load_exported(self.folder))


@dataclass(frozen=True)
class Application:
    """What to serve; called in the process that serves it, it loads the model and returns the application."""

    source: Registered | Exported
    hosts: tuple[str, ...]

    def __call__(self) -> FastAPI:
        answering = self.source.load()
        from .app import make_app

        return make_app(answering, self.hosts)

    def start(self) -> FastAPI:
        """As a call, in one of several processes: an error is printed and ends them all."""
        try:
            return self()
        except Exception as error:
            expected = isinstance(error, (InputError, RunError))
            print(f"tailor: {error}" if expected else traceback.format_exc().rstrip(), file=sys.stderr, flush=True)
            sys.exit(STARTUP_FAILURE)


def choose_threads(shape: tuple[int, int, int], workers: int) -> int:
    """The threads of a process for one operation: one for small images, whose operations are shorter than sharing them takes."""
    return 1 if max(shape) <= FEW_PIXELS else max(1, count_cores() // workers)


def serve(application: Application, host: str, port: int, workers: int, ready: Callable[[], None]) -> None:
    """Serve until a signal comes; `ready` is called when the server answers. Raises InputError and RunError."""
    with closing(_bind(host, port)) as listener:
        config = uvicorn.Config(
            application() if workers == 1 else application.start,
            access_log=False,
            factory=workers > 1,
            http=Patience,
            lifespan="off",
            limit_concurrency=MOST_CONNECTIONS,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=LAST_SECONDS,
            timeout_worker_healthcheck=SILENT_SECONDS,
            workers=workers,
        )
        threading.Thread(target=_announce, args=(host, port, ready), daemon=True).start()
        if workers == 1:
            uvicorn.Server(config).run(sockets=[listener])
        else:
            _supervise(config, listener)


class Supervisor(Multiprocess):
    """uvicorn's, but a closed terminal ends it, where uvicorn replaces the processes; under `nohup` it stays ignored."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        super().__init__(config, sockets)
        if ignored:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def handle_hup(self) -> None:
        self.should_exit.set()


def _supervise(config: uvicorn.Config, listener: socket.socket) -> None:
    """Run the processes, which count together, and replace one that dies."""
    with tempfile.TemporaryDirectory(prefix="tailor-serve-") as folder:
        os.environ[SHARED] = folder
        try:
            supervisor = Supervisor(config, [listener])
            supervisor.run()
        finally:
            del os.environ[SHARED]
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise RunError("a process of the server did not start; see above.")


def _bind(host: str, port: int) -> socket.socket:
    """Raises InputError if the port is taken, or the address is not this machine's.

    The socket names its protocol: asyncio sends at once, without Nagle's wait of 40 ms, only on such sockets.
    """
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or a server that ended a minute ago counts
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except TypeError as error:  # ä..b, or bytes that are not UTF-8
        listener.close()
        raise InputError(f"--host: {escape_path(host)} is not a host name; name an address of this machine.") from error
    except OSError as error:
        listener.close()
        name, way = ("--host", "name an address of this machine, such as 127.0.0.1")
        if error.errno in (errno.EADDRINUSE, errno.EACCES):
            name, way = "--port", f"name a port such as {port + 1 if 1024 <= port < 65535 else 8001}"
        raise InputError(f"{name}: {host}:{port} cannot be used ({error.strerror}); {way}.") from error
    return listener


def _announce(host: str, port: int, ready: Callable[[], None]) -> None:
    while True:
        try:
            with DIRECT.open(f"http://{host}:{port}/healthz", timeout=60):
                return ready()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
