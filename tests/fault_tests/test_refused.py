"""Fault 24: in mid-search MLflow's server, or PostgreSQL, begins to refuse the credentials, and takes them again later."""

from __future__ import annotations

import time
from pathlib import Path

import postgres
from conftest import Shell
from faults import broken, finish, search, study, times
from ledger import Ledger, whole_table
from servers import Gate, mlflow_server
from test_mlflow_away import EPOCHS, doubled_or_missing, slow_study, wait_for_metrics
from test_mlflow_away import environ as on_server

REFUSED = times(20, 5)  # seconds


def wait_for_spool(folder: Path) -> None:
    """Until the search keeps what MLflow refuses."""
    deadline = time.monotonic() + 60
    while not list((folder / "mlruns" / "spool").rglob("entry.json")):
        assert time.monotonic() < deadline, "nothing was kept"
        time.sleep(0.2)


def left_unsaid(said: str, *lines: str) -> list[str]:
    return [f"not on the screen: {line}" for line in lines if line not in said] + (["a traceback"] if "Traceback" in said else [])


@whole_table
def test_24_training_goes_on_while_mlflow_refuses_the_credentials(tailor: Shell, ledger: Ledger) -> None:
    with mlflow_server(tailor.folder) as server, Gate(server.port) as gate:
        slow_study(tailor.folder, trials=4)
        running = search(tailor.folder, **on_server(gate.url))
        wait_for_metrics(server.url)
        gate.refused = "/api/"
        wait_for_spool(tailor.folder)
        time.sleep(REFUSED)
        assert running.poll() is None
        gate.refused = ""
        said = finish(running)
        wrong = [] if running.returncode == 0 else [said]
        wrong += left_unsaid(
            said, "MLflow refuses the credentials (", "Restore them on the server", "MLflow is back; Tailor wrote"
        )
        wrong += broken(tailor.folder, trials=4, environ=on_server(server.url)) + doubled_or_missing(server.url, EPOCHS)
        ledger.check(f"24 MLflow's server refuses the credentials for {REFUSED} s", wrong)


def test_24_postgresql_refuses_the_login_in_mid_search(tailor: Shell, ledger: Ledger) -> None:
    study(tailor.folder, trials=8, epochs=600)
    with postgres.role() as owned:
        servers = {"TAILOR_STUDIES": owned.studies, "MLFLOW_TRACKING_URI": owned.tracking}
        running = search(tailor.folder, **servers)
        postgres.wait_for_metrics(owned.tracking)
        owned.lock()
        wait_for_spool(tailor.folder)
        time.sleep(REFUSED)
        assert running.poll() is None
        owned.unlock()
        said = finish(running)
        wrong = [] if running.returncode == 0 else [said]
        wrong += left_unsaid(
            said, "MLflow refuses the credentials (", "is not permitted to log in", "MLflow is back; Tailor wrote"
        )
        wrong += broken(tailor.folder, trials=8, environ=servers)
        ledger.check(f"24 PostgreSQL refuses the login for {REFUSED} s", wrong)
