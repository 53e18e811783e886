"""A real Dask cluster for tests, by the command line as a user starts it: a scheduler and workers, also without Tailor."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT

from distributed import Client
from faults import free_port

BARE = """
import sys

sys.meta_path[:] = [finder for finder in sys.meta_path if "__editable__" not in getattr(finder, "__module__", "")]
"""


class Cluster:
    """Its processes, each killed at the end. Workers have one thread and no nanny."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        self.scheduler = self.start_scheduler()

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        return self.scheduler

    def start_worker(self, *, bare: bool = False) -> subprocess.Popen[bytes]:
        """Start a worker; a bare one has no Tailor."""
        path = sys.path
        if bare:
            place = self._folder / "bare"
            place.mkdir(exist_ok=True)
            (place / "sitecustomize.py").write_text(BARE)
            path = [str(place)]
        return self._start("worker", self.address, "--nthreads", "1", "--no-nanny", path=path)

    def addresses(self) -> list[str]:
        """The workers that the scheduler has."""
        with Client(self.address, timeout=60, set_as_default=False) as client:
            return list(client.sync(client.scheduler.identity, n_workers=-1)["workers"])

    def wait_for(self, count: int) -> None:
        """Until the scheduler has so many workers."""
        deadline = time.monotonic() + 60
        while len(self.addresses()) != count:
            assert time.monotonic() < deadline, f"there are not {count} workers; see {self._folder / 'dask.log'}"
            time.sleep(0.2)

    def _start(self, what: str, *arguments: str, path: list[str] | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments, "--no-dashboard"]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path if path is None else path)}
        with (self._folder / "dask.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self._folder, env=environ, stdout=log, stderr=log)
        self.started.append(process)
        return process


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    """A running cluster with so many workers."""
    running = Cluster(folder)
    try:
        for _ in range(workers):
            running.start_worker()
        running.wait_for(workers)
        yield running
    finally:
        for process in running.started:
            process.send_signal(SIGCONT)
            process.kill()
            process.wait()
