"""Faults 7 and 20: a worker that is frozen past its grace and wakes again, and a wall clock that jumps."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from clusters import cluster
from conftest import Shell
from faults import broken, finish, search, study
from ledger import Ledger, whole_table
from pools import wait_for_end
from searches import client, runs, wait_for_epochs, worker_pids

from tailor.experiments.datasets.splits import cache
from tailor.experiments.planning.resolve import open_data
from tailor.experiments.trials.job import make_job
from tailor.experiments.workers.pool import Lost, Pool
from tailor.experiments.workers.retries import NOT_BEGUN
from tailor.search.engines.protocol import Suggestion
from tailor.search.study.load import load


@whole_table
@pytest.mark.parametrize("pruner", ["none", "median"])
def test_7_a_frozen_worker_of_a_cluster_is_given_up_and_its_late_result_fenced_off(
    tailor: Shell, ledger: Ledger, pruner: str
) -> None:
    """With a pruner it waits for an answer when it wakes, and must be of use again: the other one is killed then."""
    with cluster(tailor.folder, workers=2) as dask:
        workers = dask.started[1:]
        # With a pruner each epoch is a round trip.
        path = study(tailor.folder, trials=4, epochs=700 if pruner == "none" else 400, grace=6)
        path.write_text(path.read_text().replace('pruner = "none"', f'pruner = "{pruner}"'))
        running = search(tailor.folder, "--cluster", dask.address)
        wait_for_epochs(tailor.folder, 20)
        workers[0].send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and not any(r.data.tags["tailor.status"] == "lost" for r in runs(tailor.folder)[1]):
            time.sleep(0.3)
        workers[0].send_signal(signal.SIGCONT)
        if pruner != "none":
            time.sleep(2)
            workers[1].kill()
        said = finish(running)
        wrong = [] if running.returncode == 0 else [said]
        wrong += broken(tailor.folder, trials=4)
        lost = [run for run in runs(tailor.folder)[1] if run.data.tags["tailor.status"] == "lost"]
        wrong += [] if len(lost) == (1 if pruner == "none" else 2) else [f"{len(lost)} attempts were lost"]
        wrong += [] if "gave no sign of life for 6 s" in said else [said]
        mlflow = client(tailor.folder)
        for run in lost:
            written = [m.timestamp for m in mlflow.get_metric_history(run.info.run_id, "val_loss")]
            wrong += [] if max(written, default=0) <= run.info.end_time else ["the lost run was written to after its end"]
        ledger.check("7 SIGSTOP of a cluster's worker past its grace, then SIGCONT", wrong)


def test_7_a_frozen_worker_of_our_own_is_replaced(tailor: Shell, ledger: Ledger) -> None:
    study(tailor.folder, trials=4, epochs=700, grace=6)
    running = search(tailor.folder)
    wait_for_epochs(tailor.folder, 20)
    os.kill(worker_pids(running.pid)[0], signal.SIGSTOP)
    said = finish(running)
    wrong = [] if running.returncode == 0 and "gave no sign of life for 6 s" in said else [said]
    ledger.check("7 SIGSTOP of a worker of our own", wrong + broken(tailor.folder, trials=4))


@whole_table
def test_20_nobody_is_given_up_when_the_clock_jumps(tmp_path: Path, ledger: Ledger) -> None:
    """On and back, side by side."""
    started = {}
    for seconds in (600, -600):
        folder = tmp_path / str(seconds)
        folder.mkdir()
        study(folder, trials=4, epochs=700, grace=20)
        started[folder] = search(folder, driver=("clock", str(seconds), "14"))
    for folder, running in started.items():
        said = finish(running)
        wrong = [] if running.returncode == 0 else [said]
        wrong += broken(folder, trials=4)
        wrong += [] if len(runs(folder)[1]) == 4 else ["an attempt was given up"]
        ledger.check("20 the clock jumps ten minutes", wrong)


@whole_table
def test_7_a_worker_frozen_before_its_attempt_begins_is_replaced(tmp_path: Path, ledger: Ledger) -> None:
    spec = load(study(tmp_path, trials=1, epochs=3))
    data = cache(open_data(spec, None), tmp_path / "cache")
    pool = Pool.open(1, 1, grace=6.0)
    try:
        (pid,) = worker_pids(os.getpid())
        os.kill(pid, signal.SIGSTOP)
        ends = []
        for attempt in (1, 2):  # the second by the worker that takes the frozen one's place
            job = make_job(spec, Suggestion(0, {"learning_rate": 0.002}, 3), attempt, data, "float32")
            pool.submit(job)
            ends.append(wait_for_end(pool))
            pool.forget(job)
        wrong = [] if ends[0] == Lost(0, 1, NOT_BEGUN) else [str(ends[0])]
        ledger.check(
            "7 SIGSTOP of a worker before its attempt begins", wrong + ([] if ends[1].status == "complete" else [str(ends[1])])
        )
    finally:
        pool.close()
