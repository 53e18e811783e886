"""`tailor compare`: trials side by side, and what it says of names that are wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import SMALL, Shell
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from searches import artifacts, client, runs

from tailor.experiments.errors import InputError
from tailor.experiments.tracking.references import find_run


def test_compare_shows_what_differs(recorded: Shell) -> None:
    _, trials = runs(recorded.folder)
    done = recorded("compare", "small:best", trials[2].info.run_id, "--json")
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    best = next(run for run in trials if run.info.run_id == next(iter(got["runs"].values())))
    assert best.data.metrics["best_val_accuracy"] == max(r.data.metrics["best_val_accuracy"] for r in trials)
    assert got["params"]["learning_rate"] == [best.data.params["learning_rate"], trials[2].data.params["learning_rate"]]
    assert "units" not in got["params"] and "max_epochs" not in got["params"]  # the same in both
    assert got["metrics"]["best_val_accuracy"] == [run.data.metrics["best_val_accuracy"] for run in (best, trials[2])]
    place = [artifacts(run) / "confusion_matrix.json" for run in (best, trials[2])]
    before, after = (np.array(json.loads(p.read_text())["counts"]) for p in place)
    difference = np.abs(after - before)
    np.fill_diagonal(difference, 0)
    assert abs(got["confusions"][0]["after"] - got["confusions"][0]["before"]) == difference.max()
    assert "Confusions of small:0 and small:1 that differ most" in recorded("compare", "small:0", "small:1").stdout


def test_what_one_study_leaves_at_its_default_is_compared_too(copy: Shell, write_study: Callable[..., Path]) -> None:
    space = SMALL[SMALL.index("[space]") :]
    write_study(
        ('"small"', '"plain"'), (space, "[space]\nunits_1 = [8, 16]\n[training]\nbatch_size = 32\nearly_stopping = false\n")
    )
    done = copy("search", "small.toml", "--trials", "1", "--max-epochs", "1", "--workers", "1")
    assert done.returncode == 0, done.stderr
    got = json.loads(copy("compare", "small:0", "plain:0", "--json").stdout)["params"]
    assert got["batch_norm"] == ["True", "False"] and got["units"] == ["32", "128"] and got["units_1"][0] is None
    assert not {"batch_size", "early_stopping", "model", "precision"} & got.keys()  # in small the defaults, which plain names
    mlflow = client(copy.folder)
    mlflow.set_tag(runs(copy.folder, "plain")[1][0].info.run_id, "tailor.precision", "bfloat16")
    got = json.loads(copy("compare", "small:0", "plain:0", "--json").stdout)["params"]
    assert got["precision"] == ["float32", "bfloat16"]


def test_a_trial_that_is_named_several_times_is_compared_once(recorded: Shell) -> None:
    _, trials = runs(recorded.folder)
    once, often = (
        json.loads(recorded("compare", *names, "--json").stdout)
        for names in (("small:0", "small:1"), ("small:0", "small:0", trials[0].info.run_id, "small:0", "small:1"))
    )
    assert once == often and all(len(values) == 2 for values in often["metrics"].values())
    refused = recorded("compare", "small:0", "small:0", "small:0")
    assert refused.returncode == 2 and "are one trial, small:0; name another one" in refused.stderr


def test_other_epochs_are_a_difference(copy: Shell) -> None:
    """A schedule runs over `max_epochs`: trials of different ones trained at different rates."""
    _, trials = runs(copy.folder)
    described = artifacts(trials[0]) / "trial.json"
    plain = json.loads(described.read_text())
    described.write_text(json.dumps({**plain, "epochs": 99}))
    got = json.loads(copy("compare", "small:0", "small:1", "--json").stdout)
    assert got["params"]["max_epochs"] == ["99", str(plain["epochs"])]


def test_texts_that_only_resemble_a_number_differ_from_it(copy: Shell) -> None:
    mlflow, (_, trials) = client(copy.folder), runs(copy.folder)
    for trial, blocks, rate in zip(trials, ("64_32", "6432"), ("0", "0.0"), strict=False):
        mlflow.log_param(trial.info.run_id, "blocks", blocks)
        mlflow.log_param(trial.info.run_id, "rate", rate)
    done = copy("compare", "small:0", "small:1")
    assert re.search(r"blocks +64_32 +6432", done.stdout), done
    assert not re.search(r"^ *rate ", done.stdout, re.MULTILINE)


def test_runs_on_other_images_are_said_to_be(recorded: Shell) -> None:
    mlflow, (_, trials) = client(recorded.folder), runs(recorded.folder)
    digest = trials[0].data.tags["tailor.dataset_sha256"]
    mlflow.set_tag(trials[0].info.run_id, "tailor.dataset_sha256", "other")
    try:
        said = recorded("compare", trials[0].info.run_id, trials[1].info.run_id).stdout
    finally:
        mlflow.set_tag(trials[0].info.run_id, "tailor.dataset_sha256", digest)
    assert "validated on different images" in said and "Confusions that differ most" not in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("small:0",), "expected at least two, got 1"),
        (("small:0", "small:77"), "has no trial 77"),
        (("small:0", "nope"), "there is no run"),
        (("small:0", "small"), "'small' is a study; give one of its trials, small:TRIAL or small:best"),
    ],
)
def test_compare_says_what_is_wrong(recorded: Shell, arguments: tuple[str, ...], says: str) -> None:
    done = recorded("compare", *arguments)
    assert done.returncode == 2
    assert says in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["nope", "no/run's id", "0" * 32])
def test_a_runs_id_that_is_not_there_is_said_to_be_wrong(recorded: Shell, name: str) -> None:
    with pytest.raises(InputError, match="there is no run"):
        find_run(client(recorded.folder), name)


def test_a_studys_own_run_is_no_trial(recorded: Shell) -> None:
    (parent,), _ = runs(recorded.folder)
    with pytest.raises(InputError, match=r"expected a trial's run, .* give small:TRIAL or small:best"):
        find_run(client(recorded.folder), parent.info.run_id)


def test_a_server_that_is_away_is_no_wrong_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(MlflowException, match=r"127\.0\.0\.1"):
        find_run(MlflowClient("http://127.0.0.1:1"), "0" * 32)
