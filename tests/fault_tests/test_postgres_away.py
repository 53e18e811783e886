"""Faults 8 and 19 on real PostgreSQL, for Optuna's storage and MLflow's alike: many writers, and restarts in mid-search."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from conftest import Shell
from faults import broken, dice, finish, free_port, search, sleepy_study, study, times
from ledger import Ledger, whole_table
from postgres import cluster, database, wait_for_metrics


def environ(studies: str, tracking: str) -> dict[str, str]:
    return {"TAILOR_STUDIES": studies, "MLFLOW_TRACKING_URI": tracking}


@whole_table
def test_8_eight_workers_on_postgresql(tailor: Shell, ledger: Ledger) -> None:
    trials = times(200, 40)
    sleepy_study(tailor.folder, trials, workers=8)
    with database() as studies, database() as tracking:
        servers = environ(studies, tracking)
        running = search(tailor.folder, **servers)
        said = finish(running, timeout=600)
        wrong = [] if running.returncode == 0 else [said]
        ledger.check(
            f"8 8 workers, {trials} trials of a second, PostgreSQL", wrong + broken(tailor.folder, trials, environ=servers)
        )


def test_19_postgresql_restarts_in_mid_search(tailor: Shell, ledger: Ledger) -> None:
    chance, restarts = dice("restarts"), times(5, 2)
    study(tailor.folder, trials=4 * restarts, epochs=600)
    with tempfile.TemporaryDirectory(prefix="tailor-") as place, cluster(Path(place), free_port()) as server:
        servers = environ(server.database("studies"), server.database("mlflow"))
        running = search(tailor.folder, **servers)
        wait_for_metrics(servers["MLFLOW_TRACKING_URI"])
        done = 0
        while done < restarts and running.poll() is None:
            time.sleep(chance.uniform(1, 4))
            server.control("stop", "-m", chance.choice(["fast", "immediate"]))
            time.sleep(chance.uniform(0.5, 4))
            server.start()
            done += 1
        said = finish(running)
        wrong = [] if running.returncode == 0 and done == restarts else [f"{done} restarts", said]
        wrong += ["a traceback is shown"] if "Traceback" in said else []
        wrong += broken(tailor.folder, 4 * restarts, environ=servers)
        for _ in range(done):
            ledger.add("19 PostgreSQL restarted in mid-search", held=not wrong)
        assert not wrong, wrong
