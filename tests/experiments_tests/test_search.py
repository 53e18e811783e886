"""Whole searches by the command line: what stands in MLflow afterwards, going on, factories of one's own, clusters."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clusters import cluster
from conftest import Shell
from searches import artifacts, client, runs

from tailor.experiments.coordinator import session
from tailor.experiments.errors import InputError
from tailor.experiments.planning import resume_check
from tailor.experiments.planning.recorded_defaults import keep_pruner
from tailor.experiments.planning.resolve import open_data
from tailor.experiments.planning.resume_check import find_same
from tailor.models.training.options import TrainOptions
from tailor.search.study.load import build, load
from tailor.search.study.spec import Component

Write = Callable[..., Path]
ARTIFACTS = {
    "classification_report.json",
    "confusion_matrix.json",
    "learning_curves.png",
    "trial.json",
}
PICTURES = {"confusion_matrix.png", "class_scores.png", "first_layer.png", "sample_predictions.png"}  # of complete trials alone
EPOCH = {"train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate"}
FINAL = {"best_val_accuracy", "val_macro_f1", "parameters", "train_seconds", "samples_per_second", "latency_ms"}
TAGS = {
    "mlflow.parentRunId",
    "tailor.study",
    "tailor.trial",
    "tailor.attempt",
    "tailor.engine",
    "tailor.spec_sha256",
    "tailor.dataset_sha256",
    "tailor.seed",
    "tailor.status",
}


def check_whole(folder: Path, study: str, trials: int, val_size: int) -> None:
    """One parent, a child a trial, and on each all that the design lists."""
    mlflow = client(folder)
    (parent,), children = runs(folder, study)
    assert len(children) == trials
    assert [run.data.tags["tailor.trial"] for run in children] == [str(i) for i in range(trials)]
    assert (parent.info.status, parent.data.tags["tailor.study"]) == ("FINISHED", study)
    for run in children:
        tags, metrics = run.data.tags, run.data.metrics
        assert set(tags) >= TAGS
        assert tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.status == "FINISHED"
        assert tags["tailor.status"] in ("complete", "pruned")
        assert ("tailor.status_reason" in tags) == (tags["tailor.status"] == "pruned")
        assert set(metrics) >= EPOCH | FINAL
        logged = {item.path for item in mlflow.list_artifacts(run.info.run_id)}
        assert logged >= ARTIFACTS and logged & PICTURES == (PICTURES if tags["tailor.status"] == "complete" else set())
        place = artifacts(run)
        confusion = json.loads((place / "confusion_matrix.json").read_text())
        counts = np.array(confusion["counts"])
        assert counts.sum() == val_size
        assert counts.shape == (len(confusion["labels"]),) * 2
        assert metrics["best_val_accuracy"] == pytest.approx(np.trace(counts) / val_size)
        history = mlflow.get_metric_history(run.info.run_id, "val_accuracy")
        assert [m.step for m in history] == list(range(1, len(history) + 1))
        assert max(m.value for m in history) == pytest.approx(metrics["best_val_accuracy"])
        declared = json.loads((place / "trial.json").read_text())["values"]
        assert declared.pop("precision") == tags["tailor.precision"] == "float32"  # decided, not declared
        assert {k: str(v) for k, v in declared.items() if not isinstance(v, dict)}.items() <= run.data.params.items()


def test_a_search_leaves_everything_in_mlflow(recorded: Shell) -> None:
    check_whole(recorded.folder, "small", trials=4, val_size=180)


def test_only_the_kept_models_are_logged_and_on_disk(recorded: Shell) -> None:
    mlflow = client(recorded.folder)
    _, trials = runs(recorded.folder)
    experiment_id = trials[0].info.experiment_id
    logged = mlflow.search_logged_models([experiment_id])
    complete = [run for run in trials if run.data.tags["tailor.status"] == "complete"]
    best = sorted(complete, key=lambda r: -r.data.metrics["best_val_accuracy"])[:2]
    values = {m.tags["tailor.trial"]: m for m in logged}
    assert len(logged) == min(2, len(complete))
    floor = min(run.data.metrics["best_val_accuracy"] for run in best)
    for run in complete:
        if run.data.tags["tailor.trial"] in values:
            assert run.data.metrics["best_val_accuracy"] >= floor
    folders = list((recorded.folder / "mlruns" / "artifacts" / "small" / "models").iterdir())
    assert len(folders) == len(logged)


def test_the_store_is_its_owners_alone(recorded: Shell) -> None:
    store = recorded.folder / "mlruns"
    assert store.stat().st_mode & 0o777 == 0o700
    for name in ("mlflow.db", "studies.db"):
        assert (store / name).stat().st_mode & 0o777 == 0o600


def test_the_same_command_again_says_that_it_is_done_and_changes_nothing(recorded: Shell) -> None:
    before = [run.info.run_id for run in runs(recorded.folder)[1]]
    done = recorded("search", "small.toml")
    assert done.returncode == 0
    assert "all 4 trials were done before" in done.stdout
    assert "tailor promote small --to NAME  " in done.stdout
    assert [run.info.run_id for run in runs(recorded.folder)[1]] == before


def test_what_to_do_next_names_a_store_that_is_elsewhere(recorded: Shell, tmp_path: Path) -> None:
    store = recorded.folder / "mlruns"
    done = Shell(tmp_path)("search", str(recorded.folder / "small.toml"), "--store", str(store))
    quoted = shlex.quote(str(store))
    assert f"tailor promote small --to NAME --store {quoted}\n" in done.stdout
    assert f"tailor ui small --store {quoted}\n" in done.stdout


def test_a_larger_budget_goes_on(copy: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    precisions, check_model = list[str](), session.check_model

    def spy(*arguments: Any) -> Any:
        precisions.append(arguments[-1])
        return check_model(*arguments)

    monkeypatch.setattr(session, "check_model", spy)
    done = copy("search", "small.toml", "--workers", "1", "--trials", "6")
    assert done.returncode == 0, done.stderr
    (study,), trials = runs(copy.folder)
    assert precisions == [study.data.tags["tailor.precision"]]  # it is not measured again
    assert [run.data.tags["tailor.trial"] for run in trials] == ["0", "1", "2", "3", "4", "5"]
    assert len({run.data.params["learning_rate"] for run in trials}) == 6


def test_another_study_under_the_same_name_is_refused_with_the_difference(recorded: Shell) -> None:
    done = recorded("search", "small.toml", "--set", "training.units=64")
    assert done.returncode == 2
    assert "training.units: 32 → 64" in done.stderr and "--name" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("space.depth=2", "depth: 1–2 → fixed at 2"),
        ("space.dropout=0.1", "differs: dropout: not searched → fixed at 0.1. Undo"),  # by its default until now
        ("data.splits.val=100", "data digest"),
        ("study.objective=val_loss", "study.objective: val_accuracy → val_loss"),
    ],
)
def test_what_makes_it_another_study(recorded: Shell, setting: str, says: str) -> None:
    spec = load(recorded.folder / "small.toml", [setting])
    with pytest.raises(InputError) as error:
        find_same(client(recorded.folder), spec, open_data(spec, None))
    assert says in str(error.value) and "Defaults of Tailor" not in str(error.value)
    spec = load(recorded.folder / "small.toml", ["search.trials=99", "search.seed=5", "workers.count=7"])
    find_same(client(recorded.folder), spec, open_data(spec, None))


def test_a_default_that_changed_since_is_noticed_and_can_be_written_down(
    recorded: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = recorded.folder / "small.toml"
    store, splits = client(recorded.folder), open_data(load(study), None)
    later = dataclasses.asdict(TrainOptions()) | {"schedule": "one_cycle", "a_later_option": 0.0}
    monkeypatch.setattr(resume_check.recorded_defaults, "list_defaults", lambda _spec: later)
    with pytest.raises(InputError, match=r"training\.schedule: cosine → one_cycle\..* write the old values into \[training\]"):
        find_same(store, load(study), splits)
    find_same(store, load(study, ["training.schedule=cosine"]), splits)
    # what is searched has no default, and what says the same as the default is no change
    later = {**later, "schedule": "cosine", "learning_rate": 1.0}
    find_same(store, load(study, ["training.momentum=0.9"]), splits)


HALVING = "successive-halving"


@pytest.mark.parametrize(
    ("before", "today", "kept"),
    [
        (Component(HALVING), None, Component(HALVING)),  # a default before its first look stood in proportion
        (Component(HALVING, {"min_resource": 2}), None, Component(HALVING, {"min_resource": 2})),  # trials are longer today
        (Component(HALVING), {"name": HALVING, "min_resource": 3}, Component(HALVING, {"min_resource": 3})),
        (Component(HALVING, {"min_resource": 2}), HALVING, Component(HALVING)),
        (Component(HALVING), "none", Component("none")),
        (Component("median"), None, Component(HALVING, {"min_resource": 5})),
        (Component(HALVING, {"reduction_factor": 4}), None, Component(HALVING, {"min_resource": 5})),
    ],
)
def test_a_study_that_names_no_pruner_resumes_with_the_halving_that_it_had(
    write_study: Write, before: Component, today: object, kept: Component
) -> None:
    tables = load(write_study(('pruner = "median"', "")), ["search.max_epochs=50"]).tables()
    del tables["search"]["pruner"]
    if today is not None:
        tables["search"]["pruner"] = today
    spec = build(tables)
    earlier = dataclasses.replace(spec, search=dataclasses.replace(spec.search, pruner=before, max_epochs=20))
    assert keep_pruner(spec, earlier).search.pruner == kept


def test_a_study_that_an_earlier_tailor_began_looks_where_it_did(copy: Shell) -> None:
    (parent,), _ = runs(copy.folder)
    (recorded,) = artifacts(parent).rglob("study.json")
    tables = json.loads(recorded.read_text())
    tables["search"] |= {"pruner": {"name": HALVING}, "max_epochs": 20}  # as it stands there since before
    recorded.write_text(json.dumps(tables))
    file = copy.folder / "small.toml"
    file.write_text(file.read_text().replace('pruner = "median"\n', "").replace("max_epochs = 3", "max_epochs = 20"))
    done = copy("search", "small.toml", "--workers", "1", "--trials", "5")
    assert done.returncode == 0, done.stderr
    assert "pruner: successive halving, first look after epoch 1 of 20" in done.stdout
    assert json.loads(recorded.read_text())["search"]["pruner"] == {"name": HALVING}


@pytest.mark.slow
def test_somebody_elses_cluster_does_the_same_work(tailor: Shell, write_study: Write) -> None:
    write_study(("trials = 4", "trials = 2"))
    with cluster(tailor.folder, workers=2) as dask:
        done = tailor("search", "small.toml", "--cluster", dask.address)
    assert done.returncode == 0, done.stdout + done.stderr
    check_whole(tailor.folder, "small", trials=2, val_size=180)


def test_a_cluster_that_is_not_there_is_an_input_error(tailor: Shell, write_study: Write) -> None:
    write_study()
    done = tailor("search", "small.toml", "--cluster", "tcp://127.0.0.1:1")
    assert done.returncode == 2
    assert "no Dask scheduler answers at 'tcp://127.0.0.1:1'" in done.stderr and "Traceback" not in done.stderr
    assert not (tailor.folder / "mlruns").exists()
