"""MLflow's own server on the store, bound to 127.0.0.1, started and waited for."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from ..errors import InputError, RunError
from ..store import Store
from ..system.redact import mask_passwords
from .ui_links import HOST

START_SECONDS = 120
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy from the environment would get these requests
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "PYTHONSAFEPATH": "1",  # or `python -m` imports a `queue.py` of the current folder
    "PYTHONWARNINGS": "ignore",
}


@contextmanager
def mlflow_server(store: Store, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server until the block ends. Raises InputError if the port is taken, RunError if the server does not start."""
    _check_free(port)
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--default-artifact-root", store.artifacts.as_uri(), "--no-serve-artifacts"),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        # uvicorn puts a folder first on its path, by default the current one; this one holds nothing that uvicorn looks for.
        *("--uvicorn-opts", f"--log-level warning --no-access-log --app-dir {shlex.quote(str(store.artifacts))}"),
    ]
    # In the environment, not as options: a database's address may hold a password, and every user can read options.
    addresses = {"MLFLOW_BACKEND_STORE_URI": store.tracking_uri, "MLFLOW_REGISTRY_STORE_URI": store.tracking_uri}
    with tempfile.TemporaryFile() as said:
        server = subprocess.Popen(
            command,
            env={**os.environ, **QUIET, **addresses},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            _wait(server, port, said)
            yield server
        finally:
            server.terminate()
            try:
                server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                server.kill()


def _check_free(port: int) -> None:
    """Raise InputError if another server listens on the port: the browser would show its pages as ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # or a server that ended a minute ago counts
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise InputError(
                f"--port: {port} cannot be used ({error.strerror}); does another server use it? Name a port such as {port + 1}."
            ) from error


def _wait(server: subprocess.Popen[bytes], port: int, stderr: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            stderr.seek(0)
            said = stderr.read().decode(errors="replace").strip().splitlines()
            raise RunError(f"MLflow's server ended at once: {mask_passwords(said[-1]) if said else 'no message'}.")
        try:
            with DIRECT.open(f"http://{HOST}:{port}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RunError(f"MLflow's server did not answer on port {port} within {START_SECONDS} seconds.")
