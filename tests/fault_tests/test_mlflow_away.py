"""Faults 11 and 12: MLflow's server goes away while a search runs, and an upload is cut off half-way."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import Shell
from faults import broken, finish, search, study, times, to_the_end
from ledger import Ledger, whole_table
from mlflow import MlflowClient
from servers import Cutter, Server, mlflow_server

from tailor.experiments.registry.files import fetch_saved_model
from tailor.experiments.tracking.reader import find_study

EPOCHS = 250
AWAY = int(os.environ.get("TAILOR_FAULTS_AWAY", "0")) or times(30, 8)  # seconds


def environ(url: str) -> dict[str, str]:
    return {"MLFLOW_TRACKING_URI": url, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


def slow_study(folder: Path, trials: int) -> None:
    """small.toml of longer epochs: what the server is given is little for the time it takes."""
    path = study(folder, trials=trials, epochs=EPOCHS)
    path.write_text(path.read_text().replace("batch_size = 256", "batch_size = 16"))


def wait_for_metrics(url: str, study_: str = "small") -> None:
    deadline = time.monotonic() + 90
    client = MlflowClient(url)
    while time.monotonic() < deadline:
        found = find_study(client, study_)
        if found and any("val_loss" in attempt.metrics for attempt in found.read_attempts()):
            return
        time.sleep(0.3)
    raise AssertionError("no metric came in 90 seconds")


def cut_off(tailor: Shell, server: Server, *arguments: str) -> subprocess.Popen[str]:
    """A search whose MLflow goes away once it has the first metrics."""
    running = search(tailor.folder, *arguments, **environ(server.url))
    wait_for_metrics(server.url)
    server.kill()
    return running


def doubled_or_missing(url: str, epochs: int) -> list[str]:
    """Every epoch's metrics stand once on every complete run, and its artifacts are there."""
    client = MlflowClient(url)
    found = find_study(client, "small")
    assert found is not None
    wrong = []
    for run in found.read_attempts():
        if run.status != "complete":
            continue
        for metric in ("train_loss", "val_accuracy"):
            steps = Counter(m.step for m in client.get_metric_history(run.run_id, metric))
            if steps != Counter(range(1, epochs + 1)):
                wrong.append(f"{run.run_name} {metric}: {len(steps)} steps, {sum(steps.values())} values")
        names = {file.path for file in client.list_artifacts(run.run_id)}
        if not {"confusion_matrix.json", "confusion_matrix.png", "learning_curves.png", "trial.json"} <= names:
            wrong.append(f"{run.run_name} has only {sorted(names)}")
    return wrong


@pytest.mark.timeout(900 + AWAY)
def test_11_training_goes_on_while_mlflow_is_away(tailor: Shell, ledger: Ledger) -> None:
    with mlflow_server(tailor.folder) as server:
        slow_study(tailor.folder, trials=1000)
        running = cut_off(tailor, server, "--timeout", f"{AWAY + 35}s")  # new trials begin until after the outage
        time.sleep(AWAY)
        assert running.poll() is None
        server.start()
        said = finish(running, timeout=200 + AWAY)
        assert running.returncode == 0, said
        assert "MLflow cannot be written to" in said and "MLflow is back; Tailor wrote what it kept" in said
        assert "Traceback" not in said
        trials = said.count(": done, ")
        wrong = broken(tailor.folder, trials, environ=environ(server.url)) + doubled_or_missing(server.url, EPOCHS)
        wrong += [] if trials >= 2 + AWAY // 60 else [f"only {trials} trials were trained"]
        ledger.check(f"11 MLflow's server away for {AWAY} s", wrong)


@whole_table
def test_11_a_search_that_ends_while_mlflow_is_away_is_written_when_it_is_back(tailor: Shell, ledger: Ledger) -> None:
    with mlflow_server(tailor.folder) as server:
        slow_study(tailor.folder, trials=2)
        running = cut_off(tailor, server)
        said = finish(running)
        assert running.returncode == 1
        assert "entries wait in" in said and "when MLflow is back, resume with:  tailor search small.toml" in said, said
        again = tailor("search", "small.toml", **environ(server.url))
        assert again.returncode == 1 and "Traceback" not in again.stderr
        server.start()
        to_the_end(tailor, **environ(server.url))
        wrong = broken(tailor.folder, trials=2, environ=environ(server.url)) + doubled_or_missing(server.url, EPOCHS)
        ledger.check("11 MLflow's server away until after the search", wrong)


@whole_table
def test_11_a_coordinator_killed_while_mlflow_is_away(tailor: Shell, ledger: Ledger) -> None:
    with mlflow_server(tailor.folder) as server:
        slow_study(tailor.folder, trials=2)
        running = cut_off(tailor, server)
        deadline = time.monotonic() + 60
        while not list((tailor.folder / "mlruns" / "spool").rglob("entry.json")) and time.monotonic() < deadline:
            time.sleep(0.2)
        running.kill()
        running.communicate()
        server.start()
        to_the_end(tailor, **environ(server.url))
        wrong = broken(tailor.folder, trials=2, environ=environ(server.url)) + doubled_or_missing(server.url, EPOCHS)
        ledger.check("11 MLflow's server away, and the coordinator killed", wrong)


@whole_table
def test_12_uploads_cut_off_half_way_are_made_again(tailor: Shell, ledger: Ledger) -> None:
    names = ["confusion_matrix.png", "model.keras"]
    with mlflow_server(tailor.folder) as server:
        cutter = Cutter(server.port, *names)
        study(tailor.folder, trials=3)
        running = search(tailor.folder, **environ(cutter.url))
        said = finish(running)
        if running.returncode:  # one was the last thing to write
            to_the_end(tailor, **environ(server.url))
        assert sorted(cutter.cut) == names, said
        wrong = broken(tailor.folder, trials=3, environ=environ(server.url)) + doubled_or_missing(server.url, 3)
        wrong += _shas_wrong(server)
        promoted = tailor("promote", "small", "--to", "cut", "--quick", **environ(server.url))
        wrong += [] if promoted.returncode == 0 else [promoted.stderr]
        for name in names:
            ledger.add(f"12 an upload of {name} cut off half-way", held=not wrong)
        assert not wrong, wrong


def _shas_wrong(server: Server) -> list[str]:
    client = MlflowClient(server.url)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    wrong = []
    for model in client.search_logged_models([experiment.experiment_id]):
        got = hashlib.sha256(fetch_saved_model(client, model.model_id).path.read_bytes()).hexdigest()
        if got != model.tags["tailor.sha256"]:
            wrong.append(f"model {model.model_id} is not what was sent")
    return wrong
