"""What a server counts, in Prometheus's form: requests, their seconds, and the version that it answers with."""

from __future__ import annotations

import os
import time
from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import SHARED

SECONDS = (0.0001, 0.00025, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter("tailor_requests", "Requests, by path and status.", ["path", "status"], registry=self._registry)
        self.seconds = Histogram(
            "tailor_request_seconds",
            "From a request's head to its whole answer.",
            ["path"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.version = Gauge(
            "tailor_model_version",
            "The version that answers.",
            ["name"],
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )

    def render(self) -> bytes:
        """The text for Prometheus, of all processes of the server."""
        if SHARED not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)
        return generate_latest(together)


class Measure:
    """Counts and times every request; paths that the server does not have are counted as one."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: Collection[str]) -> None:
        self._app, self._metrics, self._paths = app, metrics, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500
        path = scope["path"] if scope["path"] in self._paths else "other"

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            self._metrics.requests.labels(path, status).inc()
            self._metrics.seconds.labels(path).observe(time.perf_counter() - start)
