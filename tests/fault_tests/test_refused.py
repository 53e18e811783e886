"""Fault 24: in mid-search MLflow's server, or PostgreSQL, begins to refuse the credentials, and takes them again later."""

from __future__ import annotations

import subprocess
import time

import postgres
import pytest
from conftest import Shell
from faults import broken, search, study, times
from ledger import Ledger, whole_table
from servers import Gate, mlflow_server
from test_mlflow_away import EPOCHS, doubled_or_missing, slow_study, wait_for_metrics
from test_mlflow_away import environ as on_server

REFUSED = times(10, 3)  # seconds, after the search has said that it waits


def read_until(running: subprocess.Popen[str], text: str) -> str:
    """What the search prints, up to the line with that text. The first error may be of a connection that was cut, not refused."""
    assert running.stdout is not None
    said = ""
    for line in running.stdout:
        said += line
        if text in line:
            return said
    raise AssertionError(f"{text!r} was not said:\n{said}")


def read_rest(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    said = running.stdout.read()
    running.wait(timeout=60)
    return said


def left_unsaid(said: str, *lines: str) -> list[str]:
    return [f"not on the screen: {line}" for line in lines if line not in said] + (["a traceback"] if "Traceback" in said else [])


@whole_table
def test_24_training_goes_on_while_mlflow_refuses_the_credentials(tailor: Shell, ledger: Ledger) -> None:
    with mlflow_server(tailor.folder) as server, Gate(server.port) as gate:
        slow_study(tailor.folder, trials=10)
        running = search(tailor.folder, **on_server(gate.url))
        wait_for_metrics(server.url)
        gate.refused = "/api/"
        said = read_until(running, "MLflow refuses the credentials (")
        said += read_until(running, ": done")
        gate.refused = ""
        said += read_rest(running)
        wrong = [] if running.returncode == 0 else [said]
        wrong += left_unsaid(
            said, "MLflow refuses the credentials (", "Restore them on the server", "MLflow is back; Tailor wrote"
        )
        wrong += broken(tailor.folder, trials=10, environ=on_server(server.url)) + doubled_or_missing(server.url, EPOCHS)
        ledger.check("24 MLflow's server refuses the credentials while a trial ends", wrong)


@pytest.mark.parametrize("which", ["MLflow's", "the studies'"])
def test_24_postgresql_refuses_the_login_in_mid_search(tailor: Shell, ledger: Ledger, which: str) -> None:
    """One database after the other: while the studies' is refused too, a search waits for it, and may ask nothing of MLflow's."""
    study(tailor.folder, trials=8, epochs=600)
    with postgres.role() as owned, postgres.database() as other:
        if which == "MLflow's":
            servers = {"TAILOR_STUDIES": other, "MLFLOW_TRACKING_URI": owned.tracking}
            lines = ["MLflow refuses the credentials (", "is not permitted to log in", "MLflow is back; Tailor wrote"]
        else:
            servers = {"TAILOR_STUDIES": owned.studies, "MLFLOW_TRACKING_URI": other}
            lines = ["is not permitted to log in", "repair it within 60 s, and the search goes on"]
        running = search(tailor.folder, **servers)
        postgres.wait_for_metrics(servers["MLFLOW_TRACKING_URI"])
        owned.lock()
        said = read_until(running, lines[0])
        if which == "MLflow's":
            said += read_until(running, ": done")  # training goes on
        else:
            time.sleep(REFUSED)  # it waits
            assert running.poll() is None, said + read_rest(running)
        owned.unlock()
        said += read_rest(running)
        wrong = [] if running.returncode == 0 else [said]
        wrong += left_unsaid(said, *lines)
        wrong += broken(tailor.folder, trials=8, environ=servers)
        ledger.check(f"24 PostgreSQL refuses the login to {which} database", wrong)
