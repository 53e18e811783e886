"""Fault 23: two stores on one MLflow: the same study from both, and promotions to one name from both."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from conftest import TAILOR, OwnProcess
from faults import finish, search, study, times, to_the_end
from ledger import Ledger, whole_table
from mlflow import MlflowClient
from servers import mlflow_server

from tailor.experiments.registry.history import read_history


@whole_table
def test_23_the_same_study_from_two_stores(tmp_path: Path, ledger: Ledger) -> None:
    first, second = OwnProcess(tmp_path / "first"), OwnProcess(tmp_path / "second")
    with mlflow_server(tmp_path) as server:
        environ = {"MLFLOW_TRACKING_URI": server.url}
        for shell in (first, second):
            shell.folder.mkdir()
            study(shell.folder, trials=2, epochs=20000)
        ledger.check("23 the same study from two stores", _refuse_second(first, environ, second, environ))


@pytest.mark.parametrize("local_first", [True, False], ids=["local first", "local second"])
def test_23_a_local_stores_study_by_a_second_address(tmp_path: Path, ledger: Ledger, local_first: bool) -> None:
    home, other = OwnProcess(tmp_path / "home"), OwnProcess(tmp_path / "other")
    for shell in (home, other):
        shell.folder.mkdir()
        study(shell.folder, trials=2, epochs=20000)
    address = {"MLFLOW_TRACKING_URI": f"sqlite:///{home.folder / 'mlruns' / 'mlflow.db'}"}
    here, there = (home, dict[str, str]()), (other, address)
    first, second = (here, there) if local_first else (there, here)
    ledger.check("23 a local store's study by a second address", _refuse_second(*first, *second))


def _refuse_second(
    first: OwnProcess, environ: Mapping[str, str], second: OwnProcess, environ_of_second: Mapping[str, str]
) -> list[str]:
    """What is wrong if the second search is not refused, by the first one's name, and the first one runs on undisturbed."""
    address = {**environ, **environ_of_second}["MLFLOW_TRACKING_URI"]
    running = search(first.folder, **environ)
    while not _is_held(address):
        assert running.poll() is None, finish(running)
    refused = second("search", "small.toml", **environ_of_second)
    undisturbed = running.poll() is None and _count_open(address) > 0
    running.terminate()
    said = finish(running)
    wrong = [] if refused.returncode == 2 else [f"exit {refused.returncode}: {refused.stdout}{refused.stderr}"]
    wrong += [] if f"is being run by process {running.pid} on " in refused.stderr else [refused.stderr]
    return wrong + ([] if undisturbed else [f"the first search did not run on: {said}"])


@whole_table
def test_23_promotions_to_one_name_from_two_stores(tmp_path: Path, ledger: Ledger) -> None:
    first, second = OwnProcess(tmp_path / "first"), OwnProcess(tmp_path / "second")
    with mlflow_server(tmp_path) as server:
        environ = {"MLFLOW_TRACKING_URI": server.url}
        for shell, name in ((first, "one"), (second, "other")):
            shell.folder.mkdir()
            study(shell.folder, trials=1)
            to_the_end(shell, "--name", name, **environ)
        client = MlflowClient(server.url)
        for number in range(times(5, 1)):
            target = f"shared-{number}"
            running = [_promote(shell, name, target, server.url) for shell, name in ((first, "one"), (second, "other"))]
            said = [process.communicate(timeout=250)[0] for process in running]
            codes = sorted(process.returncode for process in running)
            wrong = [] if codes in ([0, 0], [0, 3]) else said
            moves, versions = read_history(client, target), client.search_model_versions(f"name = '{target}'")
            champion = str(client.get_model_version_by_alias(target, "champion").version)
            wrong += [] if len(versions) == 2 and len(moves) == 2 and all(move.done for move in moves) else [str(moves)]
            wrong += [] if champion == [move.after for move in moves if move.alias == "champion"][-1] else ["the alias dangles"]
            wrong += [] if (moves[-1].verdict == "promoted") == (codes == [0, 0]) else ["a verdict is not true"]
            wrong += [] if client.get_registered_model(target).tags["tailor.test_openings"] == "2" else ["openings are lost"]
            ledger.check("23 promotions to one name from two stores", wrong)


def _is_held(address: str) -> bool:
    if address.startswith("sqlite") and not Path(address.removeprefix("sqlite:///")).exists():
        return False
    experiment = MlflowClient(address).get_experiment_by_name("small")
    return experiment is not None and bool(experiment.tags.get("tailor.lease"))


def _count_open(address: str) -> int:
    """The open runs of trials."""
    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    return len(client.search_runs([experiment.experiment_id], "tags.`tailor.kind` = 'trial' AND attributes.status = 'RUNNING'"))


def _promote(shell: OwnProcess, study_: str, name: str, server: str) -> subprocess.Popen[str]:
    command = [str(TAILOR), "promote", study_, "--to", name, "--quick"]
    environ = {**os.environ, "MLFLOW_TRACKING_URI": server}
    return subprocess.Popen(command, cwd=shell.folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
