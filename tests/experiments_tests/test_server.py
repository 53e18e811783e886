"""The server behind `tailor ui`: which store it shows, and what it does not show."""

from __future__ import annotations

import socket
import urllib.request

import psutil
from conftest import Shell
from faults import free_port
from servers import tailor_ui


def test_a_port_that_is_taken_is_refused(recorded: Shell) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = recorded("ui", "--port", str(port), "--no-browser")
    assert done.returncode == 2 and f"--port: {port} cannot be used" in done.stderr, done.stderr


def test_a_database_named_by_its_address_is_served(recorded: Shell) -> None:
    """And the address, which may hold a password, stands in no process's command line."""
    port = free_port()
    named = f"sqlite:///{recorded.folder / 'mlruns' / 'mlflow.db'}"
    proxy = {"http_proxy": "http://127.0.0.1:9", "no_proxy": ""}  # which is for other machines
    with tailor_ui(recorded.folder / "elsewhere", port, MLFLOW_TRACKING_URI=named, **proxy) as (server, found):
        with urllib.request.urlopen(f"{found[0]}/health", timeout=10) as answer:
            assert answer.status == 200
        lines = [" ".join(process.cmdline()) for process in psutil.Process(server.pid).children(recursive=True)]
    assert any("mlflow" in line for line in lines) and not any("mlflow.db" in line for line in lines), lines
