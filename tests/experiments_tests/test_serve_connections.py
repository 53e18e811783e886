"""The server of `tailor serve` in a thread, and clients that break off, or connect and are silent."""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import pytest
import uvicorn
from faults import free_port
from PIL import Image

from tailor.experiments.serving import patience
from tailor.experiments.serving.model import Fixed, ServedModel
from tailor.experiments.serving.server import HERE, Application, serve

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPLOAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
DEADLINE = 60  # seconds for a sign to come
SHORT = 8  # seconds of patience: a busy machine is slower than a client's two lines


@dataclass(frozen=True)
class Slow:
    """A model of one class, in place of a registered one, which answers when it may."""

    asked: threading.Event = field(default_factory=threading.Event)
    may: threading.Event = field(default_factory=threading.Event)

    def load(self) -> Fixed:
        return Fixed(ServedModel("slow", "1", (8, 8, 1), ["all"], None, "", self.predict, quick=False))

    def predict(self, images: np.ndarray) -> np.ndarray:
        self.asked.set()
        assert self.may.wait(DEADLINE)
        return np.ones((len(images), 1), np.float32)


@pytest.fixture
def model() -> Slow:
    return Slow()


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch, model: Slow) -> Iterator[int]:
    """Where the model is served, until the test ends."""
    made, ready, number = [], threading.Event(), free_port()

    class Noted(uvicorn.Server):
        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            made.append(self)

    monkeypatch.setattr(uvicorn, "Server", Noted)
    thread = threading.Thread(target=serve, args=(Application(model, HERE), "127.0.0.1", number, 1, ready.set))
    thread.start()
    assert ready.wait(DEADLINE)
    yield number
    made[0].should_exit = True
    thread.join()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)


def read_status(client: socket.socket) -> int:
    """The status of an answer, which is read as a whole."""
    answer = http.client.HTTPResponse(client)
    answer.begin()
    answer.read()
    return answer.status


def test_a_client_that_breaks_off_its_upload_is_no_error_of_the_server(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    def read_counter() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=DEADLINE) as answer:
            return next((line for line in answer.read().decode().splitlines() if 'path="/predict"' in line), "")

    with connect(port) as client:
        client.sendall(UPLOAD % (1000, b"abc"))
    deadline = time.monotonic() + DEADLINE
    while not (line := read_counter()):
        assert time.monotonic() < deadline
    assert line == 'tailor_requests_total{path="/predict",status="499"} 1.0'
    assert "Traceback" not in capfd.readouterr().err


def test_clients_that_send_no_whole_request_lose_their_connections(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SECONDS", SHORT)
    clients = []
    with ExitStack() as open_ones:
        for first in (b"", HEALTH):
            for sent in (b"", HEALTH[:9], UPLOAD % (1000, b"abc")):
                client = open_ones.enter_context(connect(port))
                client.sendall(first)
                assert not first or read_status(client) == 200
                client.sendall(sent)
                clients.append(client)
        at_once = open_ones.enter_context(connect(port))
        at_once.sendall(HEALTH + UPLOAD % (1000, b"abc"))
        assert read_status(at_once) == 200
        assert [client.recv(1) for client in (*clients, at_once)] == [b""] * 7


def test_a_whole_request_is_answered_however_long_that_takes(port: int, monkeypatch: pytest.MonkeyPatch, model: Slow) -> None:
    monkeypatch.setattr(patience, "SECONDS", SHORT)
    image = io.BytesIO()
    Image.new("L", (8, 8)).save(image, "png")
    with connect(port) as client:
        client.sendall(UPLOAD % (len(image.getvalue()), image.getvalue()))
        assert model.asked.wait(DEADLINE)
        with connect(port) as silent:
            assert silent.recv(1) == b""  # so a connection as old would have been closed too
        model.may.set()
        assert read_status(client) == 200
