"""Questions to a cluster's Dask scheduler and its workers; none blocks its caller."""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import threading
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from distributed import Client, Security
from distributed.comm import get_address_host_port
from distributed.core import connect
from tornado.ioloop import IOLoop
from tornado.platform.asyncio import BaseAsyncIOLoop

from ..errors import InputError
from . import worker

CONNECT_SECONDS = 4.0
PACKAGE = "tailor-hpo"
T = TypeVar("T")


def connect_client(address: str, loop: IOLoop) -> Client:
    """A client of the scheduler at `address`. Raises InputError, within a few seconds, if none answers there."""
    try:
        get_address_host_port(address)
    except (ValueError, TypeError) as error:
        raise InputError(f"--cluster: expected an address such as tcp://HOST:8786, got {address!r}.") from error
    try:
        _reach(address)
        with ThreadPoolExecutor(1) as elsewhere:  # a notebook's thread has a running loop
            found = elsewhere.submit(asyncio.run, _identify(address)).result()
        if found == "Scheduler":
            return Client(address, timeout=CONNECT_SECONDS, loop=loop, set_as_default=False)  # the host keeps its default client
        reason = f"a Dask {found.lower()} does"
    except Exception as error:  # any program may listen there
        reason = getattr(error, "strerror", None) or type(error).__name__
    raise InputError(
        f"--cluster: no Dask scheduler answers at {address!r} ({reason}); start one with `dask scheduler` "
        "and workers with `dask worker ADDRESS --nthreads 1`."
    )


def _reach(address: str) -> None:
    """Open the port once. Dask would retry for long, and a slow name server would also delay the end of this process."""
    place = get_address_host_port(address)
    raised: list[Exception] = [TimeoutError()]

    def reach() -> None:
        try:
            socket.create_connection(place, CONNECT_SECONDS).close()
            raised.clear()
        except Exception as error:
            raised[:] = [error]

    thread = threading.Thread(target=reach, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if raised:
        raise raised[0]


async def _identify(address: str) -> str:
    """Which part of Dask answers at the address. A client waits for ever if something else listens there."""

    async def answer() -> str:
        comm = await connect(address, timeout=CONNECT_SECONDS, **Security().get_connection_args("client"))
        try:
            await comm.write({"op": "identity", "reply": True})
            return str((await comm.read())["type"])
        finally:
            comm.abort()

    return await asyncio.wait_for(answer(), CONNECT_SECONDS)


def ask_workers(client: Client) -> Future[Collection[str]]:
    """Ask the scheduler for its workers' addresses. (`Client.scheduler_info` is a cache that Dask empties every two seconds.)"""

    async def ask() -> Collection[str]:
        return list((await client.scheduler.identity(n_workers=-1))["workers"])

    return _begin(client, ask())


def ask_if_fit(client: Client, address: str, shared: str) -> Future[str]:
    """Ask a worker to import what runs trials, for its version, and whether it may write to the file `shared`.

    Returns why it is not fit; empty if it is. A worker may lack Tailor: the questions are functions of Python's own.
    """

    async def run(function: Callable[..., Any], *arguments: object) -> Any:
        answer = (await client.run(function, *arguments, workers=[address], on_error="return"))[address]
        if isinstance(answer, OSError):  # the scheduler did not reach it: that says nothing of the worker
            raise answer
        return answer

    async def ask() -> str:
        answer = await run(importlib.import_module, worker.__name__)
        if isinstance(answer, Exception):
            said = f"{type(answer).__name__}: {answer}".splitlines()[0]
            return f"it cannot load Tailor ({said}); install the same version there, then start it again"
        found, own = await run(metadata.version, PACKAGE), metadata.version(PACKAGE)
        if found != own:
            return f"it has Tailor {found}, and this search runs {own}; install the same version there, then start it again"
        if await run(os.access, shared, os.R_OK | os.W_OK) is not True:
            store = Path(shared).parent.parent
            return f"it cannot write to the store, {store}; share that folder, under this path and for this user"
        return ""

    return _begin(client, ask())


def _begin(client: Client, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
    """Run it on the client's own loop."""
    assert isinstance(client.loop, BaseAsyncIOLoop)
    return asyncio.run_coroutine_threadsafe(coroutine, client.loop.asyncio_loop)


class Vetting:
    """Finds the workers that can run trials: asks each once, when it joins, and says in `refusals` why others cannot.

    `shared` is a file of the store, which all workers need.
    """

    def __init__(self, client: Client, shared: str) -> None:
        self._client = client
        self._shared = shared
        self._asked: dict[str, Future[str]] = {}
        self._settled: dict[str, bool] = {}  # whether the worker is fit
        self.refusals: list[str] = []

    def look(self, present: Collection[str]) -> list[str]:
        """The workers present that are fit. One that has not answered yet is not fit."""
        self._settled = {address: fit for address, fit in self._settled.items() if address in present}
        for address in present:
            if address not in self._settled and address not in self._asked:
                self._asked[address] = ask_if_fit(self._client, address, self._shared)
        for address, answer in list(self._asked.items()):
            if address not in present:
                del self._asked[address]
            elif answer.done():
                self._settle(address, self._asked.pop(address))
        return [address for address, fit in self._settled.items() if fit]

    @property
    def is_done(self) -> bool:
        """Whether every worker asked has answered."""
        return not self._asked

    def _settle(self, address: str, answer: Future[str]) -> None:
        try:
            why = answer.result()
        except Exception:  # it went away or was not reached; if it is there, it is asked again
            return
        self._settled[address] = not why
        if why:
            self.refusals.append(f"the worker at {address} is not used: {why}")
