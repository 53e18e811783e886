"""A real Dask cluster for tests, by the command line as a user starts it: a scheduler and workers, also unfit ones."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from signal import SIGCONT

from distributed import Client
from faults import free_port

from tailor.experiments.workers.cluster import Cluster as Place

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

    @cached_property
    def place(self) -> Place:
        """Its address, and a file of a store that its workers see."""
        shared = self._folder / "store" / "locks" / "shared"
        shared.parent.mkdir(parents=True)
        shared.touch()
        return Place(self.address, shared)

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker that can run trials."""
        return self._start(*self._worker)

    def start_bare_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker without Tailor."""
        place = self._folder / "bare"
        place.mkdir()
        (place / "sitecustomize.py").write_text(BARE)
        return self._start(*self._worker, path=[str(place)])

    def start_old_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker whose packages say that Tailor is 0.0.1."""
        place = self._folder / "old"
        (place / "tailor_hpo-0.0.1.dist-info").mkdir(parents=True)
        (place / "tailor_hpo-0.0.1.dist-info" / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: tailor-hpo\nVersion: 0.0.1\n"
        )
        return self._start(*self._worker, path=[str(place), *sys.path])

    def start_far_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker that does not see the store, as on a machine of its own: another file system hides the folder."""
        hide = f"mount -t tmpfs none {shlex.quote(str(self.place.shared.parent))}"
        return self._start(
            *self._worker, before=["unshare", "--map-root-user", "--mount", "sh", "-c", f'{hide} && exec "$@"', "sh"]
        )

    @property
    def _worker(self) -> list[str]:
        return ["worker", self.address, "--nthreads", "1", "--no-nanny"]

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

    def _start(
        self, what: str, *arguments: str, path: Sequence[str] = sys.path, before: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        command = [*before, sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments, "--no-dashboard"]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
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
