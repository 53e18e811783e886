"""`tailor reproduce`: a recorded trial trained again, of its run alone; its numbers, and what differs, are named."""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import Shell
from searches import artifacts, client, copy_study, runs
from sklearn.datasets import load_digits

from tailor.experiments.coordinator.reproduce import _same
from tailor.experiments.system.cpus import name_cpu

MODEL = """
import keras

def build(hparams, input_shape, num_classes):
    if hparams["width"] == 64:
        raise ValueError("too wide")
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dropout(0.2)(keras.layers.Dense(hparams["width"], activation="relu")(x))
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax")(x))
"""
STUDY = """
[study]
name = "small"
dataset = "npz:digits.npz"
model = "nets/mine.py:build"
objective = "val_accuracy"
direction = "maximize"

[search]
sampler = "random"
pruner = { name = "threshold", lower = 0.3, n_warmup_steps = 2 }
trials = 3
max_epochs = 4

[space]
learning_rate = { low = 1e-9, high = 1e-2, log = true }
width = { choices = [32, 64] }

[[enqueue]]
learning_rate = 1e-2
width = 32

[[enqueue]]
learning_rate = 1e-9
width = 32

[[enqueue]]
learning_rate = 1e-3
width = 64
"""
COMPLETE, PRUNED, FAILED = range(3)


def test_no_number_is_the_same_as_no_number() -> None:
    """A custom train_step may return no accuracy: its epochs then have NaN."""
    assert _same(math.nan, math.nan) and _same(0.5, 0.5) and _same(None, None)
    assert not _same(math.nan, 0.5) and not _same(None, math.nan) and not _same(0.5, 0.6)


def write_data(folder: Path, shift: int = 0) -> None:
    digits = load_digits()
    images = (digits.images[:600] * 15).astype("uint8") + np.uint8(shift)
    np.savez(folder / "digits.npz", x=images, y=digits.target[:600])


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A folder with one study of a custom model on custom data: a trial complete, one pruned, one failed."""
    shell = Shell(tmp_path_factory.mktemp("searched"))
    (shell.folder / "nets").mkdir()
    (shell.folder / "nets" / "mine.py").write_text(MODEL)
    (shell.folder / "small.toml").write_text(STUDY)
    write_data(shell.folder)
    done = shell("search", "small.toml", "--workers", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    _, trials = runs(shell.folder)
    assert [run.data.tags["tailor.status"] for run in trials] == ["complete", "pruned", "failed"]
    assert [run.data.metrics.get("objective") for run in trials] == [
        trials[0].data.metrics["best_val_accuracy"],
        trials[1].data.metrics["val_accuracy"],  # of a pruned one its last
        None,
    ]
    assert {run.data.tags["tailor.cpu"] for run in trials} == {name_cpu()}
    assert all(run.data.tags["tailor.threads"].isdigit() for run in trials)
    return shell


@pytest.fixture
def moved(searched: Shell, tailor: Shell) -> Shell:
    """The study, its model and its data in a folder of the test's own, to change."""
    copy_study(searched.folder, tailor.folder)
    shutil.copytree(searched.folder / "nets", tailor.folder / "nets")
    shutil.copy(searched.folder / "digits.npz", tailor.folder)
    return tailor


def test_a_trial_reproduces_to_the_same_numbers_and_leaves_nothing(searched: Shell) -> None:
    before = sorted(path for path in searched.folder.rglob("*") if path.suffix != ".db")
    done = searched("reproduce", "small:best", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    got = json.loads(done.stdout)
    assert (got["same"], got["trial"], got["epochs"], got["numbers"], got["notes"]) == (True, COMPLETE, 4, [], [])
    assert got["compared"] == 4 * 5 + 8
    assert got["differences"] == []
    assert sorted(path for path in searched.folder.rglob("*") if path.suffix != ".db") == before


def test_a_pruned_trial_is_stopped_again_and_the_store_has_what_changed_meanwhile(moved: Shell) -> None:
    run = runs(moved.folder)[1][PRUNED]
    client(moved.folder).set_tag(run.info.run_id, "tailor.version.keras", "3.0.0")
    client(moved.folder).delete_tag(run.info.run_id, "tailor.threads")
    (moved.folder / "nets" / "mine.py").write_text(MODEL.replace("0.2", "0.4"))
    write_data(moved.folder, shift=3)
    done = moved("reproduce", run.info.run_id)
    assert done.returncode == 0, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    for part in (
        "was pruned after epoch 2, and is stopped there again",
        "trained on the store's copy",
        "trained with the recorded copy",
        "version of keras: recorded 3.0.0, now 3",
        "data (npz:digits.npz): recorded ",
        "code (nets/mine.py:build): recorded ",
        "threads a worker: not recorded, now ",
        "The same numbers: trial 1 of small, 2 epochs, all 17 numbers.",
    ):
        assert part in said


def test_other_numbers_are_shown_and_fail(moved: Shell) -> None:
    run = runs(moved.folder)[1][COMPLETE]
    with closing(sqlite3.connect(moved.folder / "mlruns" / "mlflow.db")) as database, database:
        where = "WHERE run_uuid = ? AND key = 'val_loss' AND step = 2"
        assert database.execute(f"UPDATE metrics SET value = 0.123 {where}", (run.info.run_id,)).rowcount == 1
    done = moved("reproduce", "small:0", "--json")
    assert done.returncode == 1
    (number,) = json.loads(done.stdout)["numbers"]
    assert (number["epoch"], number["metric"], number["recorded"]) == (2, "val_loss", 0.123)
    assert number["now"] != 0.123


def test_changed_data_without_a_copy_is_named(moved: Shell) -> None:
    write_data(moved.folder, shift=3)
    shutil.rmtree(moved.folder / "mlruns" / "cache")
    done = moved("reproduce", "small:0")
    assert done.returncode == 1, done.stderr
    assert "data (npz:digits.npz): recorded " in done.stdout and "The first numbers that differ" in done.stdout
    assert "Not the same numbers: trial 0 of small, " in done.stdout


@pytest.mark.parametrize(
    ("run", "says"),
    [
        ("small:77", "has no trial 77"),
        ("0" * 32, "there is no run"),
        (f"small:{FAILED}", "trial 2 of study small, whose status is failed (error: ValueError: too wide (nets/mine.py:6))"),
    ],
)
def test_what_cannot_be_reproduced_is_refused_in_one_line(searched: Shell, run: str, says: str) -> None:
    done = searched("reproduce", run)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1


def test_weights_and_code_that_are_gone_are_refused(moved: Shell) -> None:
    run = runs(moved.folder)[1][COMPLETE]
    (moved.folder / "nets" / "mine.py").unlink()
    for model in client(moved.folder).search_logged_models([run.info.experiment_id]):
        client(moved.folder).delete_logged_model(model.model_id)
    done = moved("reproduce", "small:0")
    assert done.returncode == 2 and "there is no file 'nets/mine.py', and no model" in done.stderr
    path = artifacts(run) / "trial.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "continues": "9.keras", "epochs_done": 2}))
    done = moved("reproduce", "small:0")
    assert done.returncode == 2 and "continued the weights of trial 9, which are not in" in done.stderr
