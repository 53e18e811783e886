"""Fault 13: promotions killed at any step, and twenty at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import postgres
import pytest
from conftest import TAILOR, Shell
from faults import study, times, to_the_end
from ledger import Ledger, whole_table
from mlflow import MlflowClient
from searches import client
from servers import mlflow_server

from tailor.experiments.registry.history import read_history
from tailor.experiments.tracking.kinds import CANDIDATE, REFIT
from tailor.experiments.tracking.reader import find_study

HERE = Path(__file__).resolve().parent


def test_13_a_promotion_killed_half_way_is_finished_by_the_next(tailor: Shell, ledger: Ledger) -> None:
    study(tailor.folder, trials=1)
    to_the_end(tailor)
    driver = [
        sys.executable,
        str(HERE / "driver.py"),
        "call",
        "mlflow:MlflowClient.set_registered_model_alias",
        "before",
        "1",
        "--",
    ]
    killed = subprocess.run(
        [*driver, "promote", "small", "--to", "half", "--quick"], cwd=tailor.folder, capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    mlflow = client(tailor.folder)
    assert mlflow.search_model_versions("name = 'half'") and not mlflow.get_registered_model("half").aliases
    again = tailor("promote", "small", "--to", "half", "--quick")
    wrong = [] if again.returncode == 0 else [again.stdout + again.stderr]
    wrong += (
        [] if {k: str(v) for k, v in mlflow.get_registered_model("half").aliases.items()} == {"champion": "1"} else ["no alias"]
    )
    wrong += [] if mlflow.get_registered_model("half").tags["tailor.test_openings"] == "1" else ["opened the test set twice"]
    ledger.check("13 a promotion killed before its alias", wrong)


STEPS = (  # in the order in which a promotion takes them
    ("MlflowClient.create_run", "after"),
    ("MlflowClient.create_registered_model", "after"),
    ("MlflowClient.log_artifact", "before"),
    ("MlflowClient.create_model_version", "before"),
    ("MlflowClient.create_model_version", "after"),
    ("MlflowClient.set_registered_model_alias", "before"),
    ("MlflowClient.set_registered_model_alias", "after"),
    ("MlflowClient.set_terminated", "before"),
)


@whole_table
def test_13_a_promotion_killed_at_any_step_has_one_outcome(tailor: Shell, ledger: Ledger) -> None:
    study(tailor.folder, trials=1)
    to_the_end(tailor)
    mlflow = client(tailor.folder)
    for place, (step, when) in enumerate(STEPS):
        name = f"step-{place}"
        driver = [sys.executable, str(HERE / "driver.py"), "call", f"mlflow:{step}", when, "1", "--"]
        command = ["promote", "small", "--to", name, "--quick"]
        killed = subprocess.run([*driver, *command], cwd=tailor.folder, capture_output=True, check=False)
        again = tailor(*command)
        wrong = [] if killed.returncode == -signal.SIGKILL else [f"{step} was not reached"]
        wrong += [] if again.returncode == 0 else [again.stdout + again.stderr]
        wrong += [] if len(mlflow.search_model_versions(f"name = '{name}'")) == 1 else ["not one version"]
        wrong += [] if str(mlflow.get_model_version_by_alias(name, "champion").version) == "1" else ["no champion"]
        champion = mlflow.get_model_version_by_alias(name, "champion")
        status = mlflow.get_run(champion.tags["tailor.evidence"]).info.status
        wrong += [] if status == "FINISHED" else [f"the evidence's run is {status}"]
        moves = read_history(mlflow, name)
        wrong += [] if [(move.after, move.done) for move in moves] == [("1", True)] else [f"history: {moves}"]
        ledger.check("13 a promotion killed at any step", wrong)


def test_13_a_promotion_killed_while_it_trains_trains_no_candidate_twice(tailor: Shell, ledger: Ledger) -> None:
    study(tailor.folder, trials=2)
    to_the_end(tailor)
    command = ["promote", "small", "--to", "fresh", "--candidates", "2", "--seeds", "2", "--register", "refit"]
    for ended in ("3", "2"):  # among the candidates, then after the refit of the one that was chosen
        driver = [sys.executable, str(HERE / "driver.py"), "entry", "end", "after", ended, "--"]
        killed = subprocess.run([*driver, *command], cwd=tailor.folder, capture_output=True, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = tailor(*command)
    wrong = [] if again.returncode == 0 and "training" not in again.stdout else [again.stdout + again.stderr]
    found = find_study(client(tailor.folder), "small")
    assert found is not None
    attempts, refits = found.read_attempts(CANDIDATE), found.read_attempts(REFIT)
    complete = [one.trial for one in attempts if one.status == "complete"]
    wrong += [] if sorted(complete) == [0, 1, 100, 101] else [f"complete: {complete}"]
    wrong += [] if [one.status for one in refits] == ["complete"] else [f"refits: {refits}"]
    wrong += [] if all(one.run_status != "RUNNING" for one in [*attempts, *refits]) else ["a run is left open"]
    ledger.check("13 a promotion killed while it trains", wrong)


@whole_table
def test_13_promotions_at_once(tailor: Shell, ledger: Ledger) -> None:
    study(tailor.folder, trials=2)
    to_the_end(tailor)
    count = times(20, 6)
    command = [str(TAILOR), "promote", "small", "--to", "busy", "--quick"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    promotions = [subprocess.Popen(command, cwd=tailor.folder, **pipes) for _ in range(count)]
    said = [promotion.communicate(timeout=280)[0] for promotion in promotions]
    mlflow = client(tailor.folder)
    versions = mlflow.search_model_versions("name = 'busy'")
    model = mlflow.get_registered_model("busy")
    wrong = [text for text, promotion in zip(said, promotions, strict=True) if promotion.returncode]
    wrong += [] if len(versions) == 1 else [f"{len(versions)} versions of one model"]
    wrong += [] if mlflow.get_model_version_by_alias("busy", "champion").version == versions[0].version else ["the alias dangles"]
    wrong += [] if model.tags["tailor.test_openings"] == "1" else [f"{model.tags['tailor.test_openings']} openings are noted"]
    wrong += [] if sum("On test: accuracy" in text for text in said) == 1 else ["the test set was opened more than once"]
    for _ in range(count):
        ledger.add("13 promotions at once", held=not wrong)
    assert not wrong, wrong


@whole_table
@pytest.mark.parametrize("where", ["SQLite", "PostgreSQL", "a server"])
def test_13_promotions_of_different_models_at_once(tailor: Shell, ledger: Ledger, where: str) -> None:
    count = 20
    path = study(tailor.folder, trials=count, epochs=1)
    path.write_text(path.read_text().replace("keep_models = 2", f"keep_models = {count}"))
    with _tracking(where, tailor.folder) as environ:
        to_the_end(tailor, **environ)
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": {**os.environ, **environ}}
        commands = [[str(TAILOR), "promote", f"small:{trial}", "--to", "busy", "--quick"] for trial in range(count)]
        promotions = [subprocess.Popen(command, cwd=tailor.folder, **pipes) for command in commands]
        said = [promotion.communicate()[0] for promotion in promotions]
        mlflow = MlflowClient(environ["MLFLOW_TRACKING_URI"]) if environ else client(tailor.folder)
        wrong = [text for text, promotion in zip(said, promotions, strict=True) if promotion.returncode not in (0, 3)]
        versions, moves = mlflow.search_model_versions("name = 'busy'"), read_history(mlflow, "busy")
        wrong += [] if len(versions) == count else [f"{len(versions)} versions"]
        wrong += [] if len(moves) == count and all(move.done for move in moves) else [f"{len(moves)} records: {moves}"]
        promoted = [move.after for move in moves if move.alias == "champion"]
        wrong += [] if len(promoted) == sum(one.returncode == 0 for one in promotions) else [f"promoted: {promoted}"]
        champion = str(mlflow.get_model_version_by_alias("busy", "champion").version)
        wrong += [] if champion == promoted[-1] else [f"champion {champion}, promoted {promoted}"]
        openings = mlflow.get_registered_model("busy").tags["tailor.test_openings"]
        wrong += [] if openings == str(count) else [f"{openings} openings"]
    for _ in range(count):
        ledger.add(f"13 promotions of different models at once, {where}", held=not wrong)
    assert not wrong, wrong


@contextmanager
def _tracking(where: str, folder: Path) -> Iterator[dict[str, str]]:
    """The setting that leads to MLflow's records."""
    if where == "SQLite":
        yield {}
    elif where == "PostgreSQL":
        with postgres.database() as url:
            yield {"MLFLOW_TRACKING_URI": url}
    else:
        with mlflow_server(folder) as server:
            yield {"MLFLOW_TRACKING_URI": server.url}
