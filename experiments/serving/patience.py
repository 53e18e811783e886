"""A connection of the server that ends if its client sends no whole request: uvicorn would wait for ever."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 60  # for a request to arrive: the largest body, at 3 Mbit/s


class Patience(H11Protocol):
    """uvicorn's protocol. Its own timeout covers a connection from an answer to the next byte, and no other."""

    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()  # the next request may have come with this one, in part

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._watch()

    def _watch(self) -> None:
        """Start to wait if a request is not whole; stop if it is, so that its answer may take any time."""
        open_request = self.cycle is None or self.cycle.more_body or self.cycle.response_complete
        waits = open_request and not self.transport.is_closing()
        if waits and self._end is None:
            self._end = self.loop.call_later(SECONDS, self.transport.close)
        elif not waits and self._end is not None:
            self._end.cancel()
            self._end = None
