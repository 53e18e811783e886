"""Runs the web server, uvicorn, on a port of this machine until a signal ends it."""

from __future__ import annotations

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from ..errors import InputError
from ..registry.versions import find_version
from ..store import Store
from ..tracking.reader import open_client
from ..trials.evaluator import start_tensorflow

if TYPE_CHECKING:
    from fastapi import FastAPI

HERE = ("127.0.0.1", "localhost")  # names that a browser on this machine uses
BACKLOG = 2048  # connections that wait to be accepted
MOST_CONNECTIONS = 500  # of one process; further ones get 503
LAST_SECONDS = 5  # for requests that run when a signal comes
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy from the environment would get these requests


@dataclass(frozen=True)
class Application:
    """What to serve; called in the process that serves it, it loads the model and returns the application."""

    store: Store
    reference: str
    hosts: tuple[str, ...]
    threads: int

    def __call__(self) -> FastAPI:
        start_tensorflow(self.threads)
        from .app import make_app
        from .model import load_served_model

        client = open_client(self.store)
        return make_app(load_served_model(client, find_version(client, self.reference)), self.hosts)


def serve(application: Application, host: str, port: int, ready: Callable[[], None]) -> None:
    """Serve until a signal comes, which is raised again; `ready` is called when the server answers. Raises InputError."""
    with closing(_bind(host, port)) as listener:
        config = uvicorn.Config(
            application(),
            access_log=False,
            lifespan="off",
            limit_concurrency=MOST_CONNECTIONS,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=LAST_SECONDS,
        )
        threading.Thread(target=_announce, args=(host, port, ready), daemon=True).start()
        uvicorn.Server(config).run(sockets=[listener])


def _bind(host: str, port: int) -> socket.socket:
    """Raises InputError if the port is taken, or the address is not this machine's.

    The socket names its protocol: asyncio sends at once, without Nagle's wait of 40 ms, only on such sockets.
    """
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or a server that ended a minute ago counts
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise InputError(f"--port: {host}:{port} cannot be used ({error.strerror}); name a port such as {port + 1}.") from error
    return listener


def _announce(host: str, port: int, ready: Callable[[], None]) -> None:
    while True:
        try:
            with DIRECT.open(f"http://{host}:{port}/healthz", timeout=60):
                return ready()
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
