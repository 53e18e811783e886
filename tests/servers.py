"""Real servers of a test's own: MLflow's, which can be stopped and started again, and ways to it that cut off or refuse."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from conftest import TAILOR
from faults import free_port

QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}


@dataclass
class Server:
    """`mlflow server` on a port of this machine, with a database and artifacts of its own."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{self.folder / 'server.db'}"),
            *("--artifacts-destination", (self.folder / "served").as_uri(), "--serve-artifacts"),
        ]
        log = (self.folder / "server.log").open("ab")
        environ = {**os.environ, **QUIET}
        self.process = subprocess.Popen(command, env=environ, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(urllib.error.URLError, OSError), urllib.request.urlopen(f"{self.url}/health", timeout=2):
                return
            time.sleep(0.2)
        raise AssertionError((self.folder / "server.log").read_text()[-2000:])

    def kill(self) -> None:
        """As a crash: the server and its workers, at once."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()


@contextmanager
def mlflow_server(folder: Path) -> Iterator[Server]:
    server = Server(folder, free_port())
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Cutter:
    """A way to a server that cuts the connection in the middle of the first upload of a file of each of the names."""

    def __init__(self, port: int, *names: str) -> None:
        self.cut: list[str] = []
        self._target = port
        self._names = names
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            near, _ = self._socket.accept()
            far = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._pass, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, upwards: bool) -> None:
        with suppress(OSError):
            while data := source.recv(4096):
                asked = data.partition(b"\r\n")[0].decode("latin-1")
                hit = [name for name in self._names if name in asked and name not in self.cut]
                if upwards and asked.startswith("PUT ") and hit:
                    self.cut += hit
                    target.sendall(data + source.recv(4096))
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Gate:
    """A way to a server, as a proxy that asks for a password is: it answers 403 to the requests whose paths hold `refused`."""

    def __init__(self, port: int) -> None:
        self.refused = ""  # nothing
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if gate.refused and gate.refused in self.path:
                    return self._answer(403, b"the password was changed")
                far = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                with closing(far):
                    far.request(self.command, self.path, body, dict(self.headers))
                    answer = far.getresponse()
                    return self._answer(answer.status, answer.read())

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Gate:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def tailor_ui(folder: Path, port: int, *study: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`tailor ui` and the addresses that it prints, while it serves."""
    with _until_interrupted(folder, ["ui", *study, "--port", str(port), "--no-browser"], environment) as server:
        yield server


@contextmanager
def tailor_serve(folder: Path, *arguments: str, program: Path = TAILOR) -> Iterator[str]:
    """`tailor serve` while it serves; yields its address."""
    with _until_interrupted(folder, ["serve", *arguments, "--port", str(free_port())], {}, program) as (_, found):
        yield found[0]


@contextmanager
def _until_interrupted(
    folder: Path, arguments: list[str], environment: dict[str, str], program: Path = TAILOR
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A command that serves, and the addresses that it prints; Ctrl-C ends it, with exit code 0."""
    folder.mkdir(exist_ok=True)
    server = subprocess.Popen(
        [str(program), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )
    found: list[str] = []
    assert server.stdout is not None
    for line in server.stdout:
        if match := re.search(r"http://127\.0\.0\.1:\S+", line):
            found.append(match[0])
        if "Ctrl-C" in line:
            break
    try:
        yield server, found
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 0
