"""MLflow's own server on the store, bound to 127.0.0.1, started and waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from experiments.errors import RunError
from experiments.links import HOST
from experiments.store import Store

START_SECONDS = 120
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "PYTHONWARNINGS": "ignore",
}


@contextmanager
def mlflow_server(store: Store, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server until the block ends. Raises RunError where it does not come up, saying what it printed."""
    command = [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", store.tracking_uri, "--registry-store-uri", store.tracking_uri),
        *("--default-artifact-root", store.artifacts.as_uri(), "--no-serve-artifacts"),
        *("--host", HOST, "--port", str(port), "--workers", "1"),
        *("--uvicorn-opts", "--log-level warning --no-access-log"),
    ]
    server = subprocess.Popen(
        command, env={**os.environ, **QUIET}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _wait(server, port)
        yield server
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            said = (server.stderr.read() if server.stderr else b"").decode(errors="replace").strip().splitlines()
            raise RunError(
                f"MLflow's server ended at once ({said[-1] if said else 'no message'}); is port {port} taken? See --port."
            )
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RunError(f"MLflow's server did not answer on port {port} within {START_SECONDS} seconds.")
