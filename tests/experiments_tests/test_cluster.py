"""Somebody else's cluster, by the pool alone: workers without Tailor, late ones, and addresses at which no scheduler answers."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from threading import Thread

import pytest
from clusters import cluster
from conftest import Shell
from distributed import Client, Event
from faults import free_port, study
from pools import notes, wait_for_end, watch_until

from tailor.experiments.datasets.splits import cache
from tailor.experiments.errors import InputError, RunError
from tailor.experiments.planning.resolve import open_data
from tailor.experiments.trials.job import TrialResult, make_job
from tailor.experiments.workers import pool as pool_module
from tailor.experiments.workers.cluster import Cluster
from tailor.experiments.workers.pool import Pool
from tailor.search.engines.protocol import Suggestion
from tailor.search.study.load import load


@pytest.mark.slow
def test_a_bare_worker_is_named_and_not_used_and_a_late_one_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = load(study(tmp_path, trials=1, epochs=1))
    job = make_job(spec, Suggestion(0, {"learning_rate": 0.002}, 1), 1, cache(open_data(spec, None), tmp_path / "cache"))
    with cluster(tmp_path, workers=0) as dask:
        dask.start_bare_worker()
        dask.wait_for(1)
        with pytest.raises(InputError, match=r"no worker .* can be used: the worker at tcp://.*No module named 'tailor"):
            Pool.open(1, 1, 60.0, dask.place)
        first = dask.start_worker()
        dask.wait_for(2)
        pool = Pool.open(1, 1, 60.0, dask.place)
        try:
            assert pool.count == 1
            (said,) = notes(watch_until(pool, lambda events: bool(notes(events))))
            assert "is not used: it cannot load Tailor" in said
            dask.start_worker()
            watch_until(pool, lambda _: pool.count == 2)
            first.kill()
            watch_until(pool, lambda _: pool.count == 1)
            pool.submit(job)  # to the late one: there is no other
            end = wait_for_end(pool)
            assert isinstance(end, TrialResult) and end.status == "complete", end
        finally:
            pool.close()


def test_a_search_says_that_it_waits_for_a_worker_that_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pool_module, "QUIET_SECONDS", 0.2)
    spec = load(study(tmp_path, trials=1, epochs=1))
    job = make_job(spec, Suggestion(0, {"learning_rate": 0.002}, 1), 1, cache(open_data(spec, None), tmp_path / "cache"))
    with cluster(tmp_path, workers=1) as dask, Client(dask.address, set_as_default=False) as other:
        busy, over = Event("busy", client=other), Event("over", client=other)

        def work() -> None:
            Event("busy").set()
            Event("over").wait()

        kept = other.submit(work)
        busy.wait()
        pool = Pool.open(1, 1, 60.0, dask.place)
        said: list[str] = []

        def say(line: str) -> None:
            said.append(line)
            over.set()

        try:
            assert pool.preflight(job, say).precision
        finally:
            pool.close()
            kept.release()
    assert said == ["no worker is free yet; the search waits for one (Ctrl-C stops it)"]


def test_a_worker_of_another_version_or_without_the_store_is_named_and_not_used(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "--map-root-user", "--mount", "true"], check=False).returncode:
        pytest.skip("this system lets nobody hide a folder from a process")
    with cluster(tmp_path, workers=0) as dask:
        dask.start_old_worker()
        dask.start_far_worker()
        dask.wait_for(2)
        with pytest.raises(InputError, match=r"no worker .* can be used: the worker at tcp://") as refused:
            Pool.open(1, 1, 60.0, dask.place)
        assert f"it has Tailor 0.0.1, and this search runs {metadata.version('tailor-hpo')}" in str(refused.value)
        assert f"it cannot write to the store, {tmp_path / 'store'}; share that folder" in str(refused.value)
        dask.start_worker()
        dask.wait_for(3)
        pool = Pool.open(1, 1, 60.0, dask.place)
        assert pool.count == 1
        pool.close()


@pytest.fixture(params=["nothing", "silence", "a web server", "no host", "a worker", "no workers"])
def wrong_address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """An address without a scheduler of use, and what is said of it."""
    if request.param == "nothing":
        yield f"tcp://127.0.0.1:{free_port()}", "no Dask scheduler answers at .* (Connection refused)"
    elif request.param == "silence":
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            yield f"tcp://127.0.0.1:{server.getsockname()[1]}", "no Dask scheduler answers at .* (TimeoutError)"
    elif request.param == "a web server":
        server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", "no Dask scheduler answers at"
        server.shutdown()
        server.server_close()
    elif request.param == "no host":
        yield "nowhere.invalid:8786", "no Dask scheduler answers at"
    else:
        with cluster(tmp_path, workers=1 if request.param == "a worker" else 0) as dask:
            if request.param == "a worker":
                yield dask.addresses()[0], "no Dask scheduler answers at .* (a Dask worker does)"
            else:
                yield dask.address, "the scheduler at .* has no workers; start some with"


class Silent(BaseHTTPRequestHandler):
    """A server that prints nothing."""

    def log_message(self, *_arguments: object) -> None: ...


def test_an_address_without_a_scheduler_is_refused_soon(wrong_address: tuple[str, str], tmp_path: Path) -> None:
    address, said = wrong_address
    with pytest.raises(InputError, match=said.replace("(", r"\(").replace(")", r"\)")):
        Pool.open(1, 1, 60.0, Cluster(address, tmp_path))  # Dask by itself would wait for ever, or try again for half a minute


def test_options_that_the_clusters_workers_decide_are_named(tailor: Shell, write_study: Callable[..., Path]) -> None:
    write_study()
    done = tailor("search", "small.toml", "--workers", "2", "--cluster", f"tcp://127.0.0.1:{free_port()}")
    assert done.returncode == 2
    assert "the cluster's workers decide how much runs at once, not workers.count\n" in done.stdout


@pytest.mark.parametrize("address", ["tcp://host", "host", "tcp://host:x"])
def test_an_address_without_a_port_is_no_address(address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^--cluster: expected an address such as tcp://HOST:8786, got "):
        Pool.open(1, 1, 60.0, Cluster(address, tmp_path))


def test_a_scheduler_that_does_not_answer_is_no_news(tmp_path: Path) -> None:
    with cluster(tmp_path, workers=1) as dask:
        pool = Pool.open(1, 1, 60.0, dask.place)
        try:
            dask.scheduler.send_signal(SIGSTOP)
            (said,) = notes(watch_until(pool, lambda events: bool(notes(events))))
            assert said.startswith(f"no answer from the scheduler of the cluster at {dask.address}; the search waits")
            assert pool.count == 1
            dask.scheduler.send_signal(SIGCONT)
            dask.start_worker()
            assert not notes(watch_until(pool, lambda _: pool.count == 2))  # it answers again
        finally:
            pool.close()


def test_a_scheduler_that_goes_away_is_named_and_the_pool_still_closes(tmp_path: Path) -> None:
    with cluster(tmp_path, workers=1) as dask:
        pool = Pool.open(1, 1, 60.0, dask.place)
        dask.scheduler.kill()
        try:
            with pytest.raises(RunError, match=f"the scheduler at {dask.address} is gone"):
                watch_until(pool, lambda _: False)
            with pytest.raises(RunError, match="is gone"):
                pool.stop()
        finally:
            pool.close()
