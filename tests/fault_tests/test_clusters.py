"""Faults 2, 21 and 22 on a cluster: the search killed, workers killed one by one, and the scheduler."""

from __future__ import annotations

import signal

import pytest
from clusters import cluster
from conftest import Shell
from faults import broken, dice, finish, search, sleepy_study, study, times, to_the_end
from ledger import Ledger, whole_table
from searches import count_runs, runs, wait_for_epochs, wait_for_runs


@pytest.mark.parametrize("pruner", ["none", "median"])
def test_2_the_search_killed_while_its_cluster_lives_on(tailor: Shell, ledger: Ledger, pruner: str) -> None:
    """The only worker trains for nobody, for hours without a pruner, and has to be free for the same command."""
    path = study(tailor.folder, trials=1, epochs=100_000, workers=1)
    path.write_text(path.read_text().replace('pruner = "none"', f'pruner = "{pruner}"'))
    with cluster(tailor.folder, workers=1) as dask:
        killed = search(tailor.folder, "--cluster", dask.address)
        wait_for_epochs(tailor.folder, 2)
        killed.kill()
        killed.wait()
        again = search(tailor.folder, "--cluster", dask.address)
        try:
            wait_for_runs(tailor.folder, 2)
        finally:
            again.send_signal(signal.SIGINT)
        said = finish(again)
    statuses = sorted(run.data.tags["tailor.status"] for run in runs(tailor.folder)[1])
    wrong = [] if again.returncode == 130 and statuses == ["lost", "stopped"] else [said, *statuses]
    ledger.check("2 SIGKILL of a search that uses a cluster", wrong + broken(tailor.folder, trials=None))


def test_21_workers_of_a_cluster_killed_one_by_one(tailor: Shell, ledger: Ledger) -> None:
    """Each is replaced by a late one. Dask's cached view of the scheduler is empty every two seconds, meanwhile as always."""
    kills = times(10, 2)
    sleepy_study(tailor.folder, trials=4 * (kills + 1), workers=3)
    chance = dice("clusters")
    with cluster(tailor.folder, workers=3) as dask:
        workers = dask.started[1:]
        running = search(tailor.folder, "--cluster", dask.address)
        for kill in range(kills):
            wait_for_runs(tailor.folder, 4 * kill + 2, status="FINISHED")
            victim = workers.pop(chance.randrange(3))
            victim.kill()
            victim.wait()
            workers.append(dask.start_worker())
            dask.wait_for(3)
        said = finish(running)
    wrong = [] if running.returncode == 0 and "no answer from" not in said else [said]
    wrong += broken(tailor.folder, trials=4 * (kills + 1))
    lost = [run for run in runs(tailor.folder)[1] if run.data.tags["tailor.status"] == "lost"]
    wrong += [] if len(lost) <= kills else [f"{len(lost)} attempts were lost by {kills} kills", said]
    for _ in range(kills):
        ledger.add("21 SIGKILL of one of a cluster's three workers", held=not wrong)
    assert not wrong, wrong


@pytest.mark.parametrize("again", [pytest.param("later", marks=whole_table), "at once"])
def test_22_the_scheduler_of_a_cluster_killed(tailor: Shell, ledger: Ledger, again: str) -> None:
    """Dask's client connects again by itself to one that is started at once, which knows nothing of what ran."""
    sleepy_study(tailor.folder, trials=8, workers=2)
    with cluster(tailor.folder, workers=2) as dask:
        running = search(tailor.folder, "--cluster", dask.address)
        wait_for_runs(tailor.folder, 2, status="FINISHED")
        dask.scheduler.kill()
        dask.scheduler.wait()
        if again == "at once":
            dask.start_scheduler()
        said = finish(running, timeout=60)
        *_, line = said.splitlines()
        told = f"the scheduler at {dask.address} is gone" in line and line.endswith(
            f"tailor search small.toml --cluster {dask.address}"
        )
        wrong = [] if running.returncode == 1 and told and "Traceback" not in said else [said]
        before = count_runs(tailor.folder)
        if again == "later":
            dask.start_scheduler()
        for _ in range(2):
            dask.start_worker()
        dask.wait_for(2)
        to_the_end(tailor, "--cluster", dask.address)
    wrong += broken(tailor.folder, trials=8)
    lost = [run for run in runs(tailor.folder)[1] if run.data.tags["tailor.status"] == "lost"]
    wrong += [] if len(lost) <= 2 < before else [f"{len(lost)} attempts of {before} were lost"]
    ledger.check(f"22 SIGKILL of a cluster's scheduler, started again {again}", wrong)
