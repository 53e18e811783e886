"""What the fault suites share: the invariant that holds after every fault, and searches that bring a fault on themselves."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from conftest import TAILOR, OwnProcess, Shell
from ledger import FULL, SEED
from mlflow import MlflowClient

from tailor.experiments.coordinator.reconcile import find_outcome
from tailor.experiments.store import Store
from tailor.experiments.tracking.reader import find_study, open_client
from tailor.experiments.tracking.recorded import RecordedAttempt
from tailor.search.engines import open_engine

HERE = Path(__file__).resolve().parent
SETTLED = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED", "lost": "KILLED", "stopped": "KILLED"}

SMALL = """
[study]
name = "small"
dataset = "digits"
model = "mlp"
objective = "val_accuracy"
direction = "maximize"

[search]
sampler = "random"
pruner = "none"
trials = {trials}
max_epochs = {epochs}
retries = {retries}
keep_models = 2

[space]
learning_rate = {{ low = 1e-3, high = 1e-2, log = true }}

[training]
units = 16
batch_size = 256

[workers]
count = {workers}
grace = "{grace}s"
"""

SLEEPY = """
import time

import keras


def build(hparams, input_shape, num_classes):
    time.sleep(0.7)  # with what a trial takes besides, about a second
    layers = [keras.layers.Input(input_shape), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes, activation="softmax")])
"""


def study(folder: Path, *, trials: int = 4, epochs: int = 3, workers: int = 2, retries: int = 2, grace: int = 60) -> Path:
    """Write small.toml: one architecture, so that a trial costs its epochs alone."""
    path = folder / "small.toml"
    path.write_text(SMALL.format(trials=trials, epochs=epochs, workers=workers, retries=retries, grace=grace))
    return path


def sleepy_study(folder: Path, trials: int, workers: int) -> None:
    """small.toml of trials that mostly sleep, so that many workers fit on few cores."""
    path = study(folder, trials=trials, epochs=1, workers=workers)
    (folder / "sleepy.py").write_text(SLEEPY)
    path.write_text(path.read_text().replace('model = "mlp"', 'model = "sleepy.py:build"').replace("units = 16\n", ""))


def times(full: int, short: int) -> int:
    """How often to inject: `full`, or in the part that runs at every change `short`."""
    return full if FULL else short


def dice(name: str) -> random.Random:
    """Random numbers of a test's own, by the suite's seed."""
    return random.Random(f"{SEED}/{name}")


def broken(folder: Path, trials: int | None, *, environ: Mapping[str, str] | None = None) -> list[str]:
    """What of the invariant does not hold of a study with so many trials; empty where all of it does.

    complete + pruned + failed = trials, and those + lost + stopped = attempts, each with one run of the right status; the
    engine and MLflow agree on every trial and its value; complete trials of the best have their models, whole. Without `trials`
    the study is not done yet: what holds between two sessions.
    """
    store = Store.at(str(folder / "mlruns"), environ or {})
    client = open_client(store)
    found = find_study(client, "small")
    if found is None:  # killed before there was one, it may be
        return [] if trials is None else ["there is no such study in MLflow"]
    attempts = found.read_attempts()
    wrong = _attempts_wrong(attempts)
    if found.run_status not in (("KILLED", "FINISHED") if trials is None else ("FINISHED",)):
        wrong.append(f"the study's run is {found.run_status}")
    goal, spec = found.goal, found.read_spec()
    engine = open_engine(spec, store.studies_url, store.oracles)
    told = {record.trial: record.outcome for record in engine.records()}
    written = {one.trial: end for one in attempts if (end := find_outcome(one, goal)) is not None}
    for trial in sorted(told.keys() | written.keys()):
        ours, theirs = told.get(trial), written.get(trial)
        if ours is None or theirs is None or (ours.status, ours.values) != (theirs.status, theirs.values):
            wrong.append(f"trial {trial}: {ours} in the engine, {theirs} in MLflow")
    if trials is None:
        return wrong
    states = Counter(attempt.status for attempt in attempts)
    if sum(states[s] for s in ("complete", "pruned", "failed")) != trials:
        wrong.append(f"expected {trials} trials that ended, got {dict(states)}")
    if engine.unfinished():
        wrong.append(f"the engine has {len(engine.unfinished())} unfinished trials")
    wrong += _models_wrong(
        client, found.experiment_id, set(goal.order({t: e.values for t, e in written.items() if e.values})[:2])
    )
    left = [path for place in (store.spool, store.checkpoints) for path in place.rglob("*") if path.is_file()]
    return wrong + [f"left over: {path}" for path in left]


def _attempts_wrong(attempts: list[RecordedAttempt]) -> list[str]:
    wrong = []
    counts = Counter((one.trial, one.attempt) for one in attempts)
    wrong += [f"attempt {attempt} has {count} runs" for attempt, count in counts.items() if count > 1]
    for one in attempts:
        if SETTLED.get(one.status) != one.run_status:
            wrong.append(f"run {one.run_name} is {one.run_status}, and its attempt {one.status}")
    for trial in {one.trial for one in attempts}:
        numbers = sorted(one.attempt for one in attempts if one.trial == trial)
        if numbers != list(range(1, len(numbers) + 1)):
            wrong.append(f"trial {trial} has the attempts {numbers}")
    return wrong


def _models_wrong(client: MlflowClient, experiment_id: str, best: set[int]) -> list[str]:
    models = client.search_logged_models([experiment_id], max_results=1000)
    trials = Counter(int(model.tags["tailor.trial"]) for model in models)
    wrong = [] if set(trials) == best and set(trials.values()) <= {1} else [f"models of {dict(trials)}, the best are {best}"]
    return wrong + [f"model {model.model_id} is {model.status}" for model in models if str(model.status) != "READY"]


def search(folder: Path, *arguments: str, driver: tuple[str, ...] = (), **environment: str) -> subprocess.Popen[str]:
    """Start `tailor search small.toml`; with `driver`, in a process that brings the named fault on itself (see driver.py)."""
    tailor = [sys.executable, str(HERE / "fault_tests" / "driver.py"), *driver, "--"] if driver else [str(TAILOR)]
    command = [*tailor, "search", "small.toml", *arguments]
    environ = {**os.environ, **environment}
    return subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(search_: subprocess.Popen[str], timeout: float = 200) -> str:
    """Wait for a search's end and answer what it said."""
    try:
        said, _ = search_.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        search_.kill()
        said, _ = search_.communicate()
        raise AssertionError(f"the search did not end within {timeout} s; it said:\n{said}") from None
    return said


def to_the_end(shell: Shell | OwnProcess, *arguments: str, **environment: str) -> None:
    """The same command again, to the end."""
    done = shell("search", "small.toml", *arguments, **environment)
    assert done.returncode == 0, done.stdout + done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
