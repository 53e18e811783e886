"""A good guest: a host with a Dask client, a loop, handlers and settings of its own finds all as it was after a search."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import distributed.batched
import numpy as np
import pytest
from click.testing import CliRunner
from tornado.ioloop import IOLoop

from tailor.experiments.cli import env
from tailor.experiments.datasets.splits import DataHandle
from tailor.experiments.system.host import kept
from tailor.experiments.system.shared import Shared
from tailor.experiments.trials.job import TrialJob
from tailor.experiments.trials.process import at_work
from tailor.experiments.workers import own_loop

HOST = """
import asyncio, gc, json, logging, multiprocessing, os, signal, sys, threading, warnings
from multiprocessing import forkserver

import dask
import distributed.batched
import matplotlib
import mlflow
import optuna
import psutil
import sklearn
import tornado.ioloop
from distributed import Client, LocalCluster, default_client

import tailor

matplotlib.use("svg")
from matplotlib import pyplot

pyplot.figure()
ticks, others, client, begun = [0], [0], None, threading.Event()


async def tick():
    def count():
        ticks[0] += 1
        others[0] += client is not None and default_client() is not client

    tornado.ioloop.PeriodicCallback(count, 20).start()
    begun.set()
    await asyncio.Event().wait()


threading.Thread(target=lambda: asyncio.run(tick()), daemon=True).start()
assert begun.wait(30)
client = Client(LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None))
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
for number in NUMBERS:
    signal.signal(number, lambda number, frame: None)
sys.unraisablehook = lambda unraisable: sys.__unraisablehook__(unraisable)
sys.excepthook = lambda *raised: sys.__excepthook__(*raised)
warnings.simplefilter("always", ImportWarning)
os.umask(0o027)
for name in ("mlflow", "optuna", "alembic", "urllib3", "distributed", "tornado"):
    logging.getLogger(name).setLevel(logging.INFO)
# Python's and Dask's pools for the whole process, which the next to need them uses.
POOLS = ("Dask-Offload", "Dask-Callback")


def children():
    return sorted(child.pid for child in psutil.Process().children(True) if "resource_tracker" not in child.cmdline()[-1])


def state():
    gc.collect()  # pools that nobody holds any more end with it, each thread once it comes to it
    for thread in threading.enumerate():
        if thread.name.startswith("Mlflow"):
            thread.join(60)
    umask = os.umask(0)
    os.umask(umask)
    known = logging.root.manager.loggerDict
    return {
        "handlers": [str(signal.getsignal(number)) for number in NUMBERS],
        "hooks": [str(hook) for hook in (sys.unraisablehook, sys.excepthook, sys.displayhook, threading.excepthook)],
        "environ": dict(os.environ),
        "cwd": os.getcwd(),
        "path": list(sys.path),
        "umask": umask,
        "filters": [str(entry) for entry in warnings.filters],
        "levels": {name: [known[name].level, known[name].disabled] for name in LOGGERS},
        "root": [logging.root.level, str(logging.root.handlers)],
        "matplotlib": [matplotlib.get_backend(), pyplot.get_fignums(), str(dict.items(matplotlib.rcParams))],
        "clocks": [str(tornado.ioloop.IOLoop.time), str(distributed.batched.time)],
        "dask": json.dumps(dask.config.config, default=str, sort_keys=True),
        "default client": Client.current() is client,
        "forkserver": [forkserver._forkserver._preload_modules, forkserver._forkserver._forkserver_pid],
        "start method": multiprocessing.get_start_method(allow_none=True),
        "main": [str(sys.modules["__main__"].__file__), str(sys.modules["__main__"].__spec__)],
        "streams": [str(sys.stdin), str(sys.stdout), str(sys.stderr)],
        "tracking": mlflow.get_tracking_uri(),
        "threads": sorted(thread.name for thread in threading.enumerate() if not thread.name.startswith(POOLS)),
        "children": children(),
    }


LOGGERS = [name for name, logger in logging.root.manager.loggerDict.items() if isinstance(logger, logging.Logger)]
tailor.run  # imported, but nothing was run
before, ticked = state(), ticks[0]
tailor.run("quickstart", settings={"search.trials": 1, "search.max_epochs": 1, "workers.count": 1}, store="s", quiet=True)
ticked = ticks[0] - ticked
after = state()
changed = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
print(json.dumps({"changed": changed, "ticked": ticked, "others": others[0], "answer": client.submit(lambda: 5).result(30)}))
os._exit(0)
"""


def test_a_host_finds_all_as_it_was_after_a_search(tmp_path: Path) -> None:
    (tmp_path / "host.py").write_text(HOST)
    environ = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}  # it writes variables by itself, in a thread of its own
    done = subprocess.run(
        [sys.executable, "host.py"], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["changed"] == {}
    assert found["ticked"] >= 20  # the host's loop ran on by its own clock, beside a search of some seconds
    assert found["others"] == 0  # and found its client to be the default one all the while
    assert found["answer"] == 5  # and its client is still one


def test_python_and_numpy_draw_on_where_they_were_and_the_path_is_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, states = list(sys.path), (random.getstate(), str(np.random.get_state()))
    filters, level = list(warnings.filters), logging.getLogger("optuna").level
    with kept():
        sys.path.append(str(tmp_path))
        random.random(), np.random.rand()
        warnings.filterwarnings("ignore", category=ImportWarning)
        logging.getLogger("optuna").setLevel(logging.CRITICAL)
        with kept():  # another search, in another thread
            pass
        assert logging.getLogger("optuna").level == logging.CRITICAL
    assert (sys.path, (random.getstate(), str(np.random.get_state()))) == (path, states)
    assert (warnings.filters, logging.getLogger("optuna").level) == (filters, level)


def test_the_last_of_those_who_share_ends_it() -> None:
    told: list[str] = []

    @contextmanager
    def thing() -> Iterator[None]:
        told.append("begins")
        yield
        told.append("ends")

    shared = Shared(thing)
    with ExitStack() as second:
        with shared.held():
            second.enter_context(shared.held())
        assert told == ["begins"]
    assert told == ["begins", "ends"]


def test_our_loop_has_the_monotonic_clock_and_others_keep_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, moment = distributed.batched.time, IOLoop.time
    monkeypatch.setattr(own_loop, "time", SimpleNamespace(monotonic=lambda: 5.0))

    async def clocks() -> tuple[float, float]:
        return distributed.batched.time(), IOLoop.current().time()

    with own_loop.own_loop() as loop:
        with own_loop.own_loop():  # another search, in another thread
            assert 5.0 not in asyncio.run(clocks())
        assert asyncio.run_coroutine_threadsafe(clocks(), loop.asyncio_loop).result(30) == (5.0, 5.0)
        assert IOLoop.time is moment
    assert distributed.batched.time is plain


def test_a_job_leaves_a_clusters_worker_as_it_was(tmp_path: Path) -> None:
    import keras

    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "mine.py").write_text("import os\nos.chdir('/')\n")  # as factories' files do
    folder, data = str(tmp_path / "job"), DataHandle("", (8, 8, 1), 10)
    job = TrialJob("s", 0, 1, "mlp", {}, data, 1, 0, "val_accuracy", maximize=True, waits=False, folder=folder)
    before = os.getcwd(), list(sys.path), random.getstate(), keras.config.dtype_policy().name
    with at_work(job):
        assert Path.cwd() == tmp_path / "job"
        importlib.import_module("mine")
        random.seed(1)
        keras.config.set_dtype_policy("mixed_bfloat16")
    assert (os.getcwd(), list(sys.path), random.getstate(), keras.config.dtype_policy().name) == before


def test_optunas_database_reaches_the_store_without_a_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TAILOR_STUDIES", raising=False)
    told = CliRunner().invoke(env.command, ["--studies", "sqlite:///x.db", "--json"])
    assert json.loads(told.output)["OPTUNA_STORAGE"] == "sqlite:///x.db"
    assert "TAILOR_STUDIES" not in os.environ


FORKS = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import tailor
from tailor.experiments.workers.own_loop import own_loop


def try_loop(study):
    try:
        with own_loop():
            return "runs"
    except tailor.RunError as error:
        return str(error)


def try_run(study):
    try:
        tailor.run(study, quiet=True)
    except tailor.RunError as error:
        return str(error)


if __name__ == "__main__":
    spawn = multiprocessing.get_context("spawn")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        print(pool.map(try_run, ["quickstart"]))
    print(try_loop(""))
    for way in (multiprocessing.get_context("fork"), spawn):
        with ProcessPoolExecutor(1, mp_context=way) as pool:
            print(list(pool.map(try_loop, [""])))
"""


def test_a_process_that_cannot_run_a_study_says_so(tmp_path: Path) -> None:
    (tmp_path / "forks.py").write_text(FORKS)
    done = subprocess.run([sys.executable, "forks.py"], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=True)
    pool, host, fork, spawn = done.stdout.splitlines()
    assert "Tailor starts processes, and this one may have none" in pool and not (tmp_path / "mlruns").exists()
    assert "this process was forked from one that has run a study" in fork and [host, spawn] == ["runs", "['runs']"]
