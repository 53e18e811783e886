"""The server of `tailor serve` in a thread, and clients that break off."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import uvicorn
from faults import free_port

from tailor.experiments.serving.model import Fixed, ServedModel
from tailor.experiments.serving.server import HERE, Application, serve

UPLOAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc"
DEADLINE = 60  # seconds for a sign to come


@dataclass(frozen=True)
class OneClass:
    """A model of one class, in place of a registered one."""

    def load(self) -> Fixed:
        return Fixed(ServedModel("one", "1", (8, 8, 1), ["all"], None, "", self.predict, quick=False))

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.ones((len(images), 1), np.float32)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where it serves, until the test ends."""
    made, ready, number = [], threading.Event(), free_port()

    class Noted(uvicorn.Server):
        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            made.append(self)

    monkeypatch.setattr(uvicorn, "Server", Noted)
    application = Application(OneClass(), HERE)
    thread = threading.Thread(target=serve, args=(application, "127.0.0.1", number, 1, ready.set))
    thread.start()
    assert ready.wait(DEADLINE)
    yield number
    made[0].should_exit = True
    thread.join()


def read_metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=DEADLINE) as answer:
        return answer.read().decode()


def test_a_client_that_breaks_off_its_upload_is_no_error_of_the_server(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(UPLOAD)
    deadline = time.monotonic() + DEADLINE
    while (line := next((one for one in read_metrics(port).splitlines() if '"/predict"' in one), "")) == "":
        assert time.monotonic() < deadline
    assert line == 'tailor_requests_total{path="/predict",status="499"} 1.0'
    assert "Traceback" not in capfd.readouterr().err
