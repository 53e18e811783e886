"""Both engines by the command line, read back by the same code; several objectives with a constraint."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SMALL, Shell
from searches import artifacts, client, runs
from test_search import check_whole

from tailor import read_study
from tailor.search.space.points import list_points

Write = Callable[..., Path]


@pytest.mark.slow
def test_keras_tuners_hyperband_leaves_what_optuna_leaves(tailor: Shell) -> None:
    (tailor.folder / "small.toml").write_text(SMALL.replace("max_epochs = 3", "max_epochs = 4"))
    for trials in ("4", "8"):  # the second session's trials go on from the first one's weights too
        options = ("--engine", "keras-tuner", "--sampler", "hyperband", "--workers", "2", "--trials", trials)
        done = tailor("search", "small.toml", *options)
        assert done.returncode == 0, done.stderr
        assert "are gone" not in done.stdout
    assert "Running Trial" not in done.stdout  # Keras Tuner's own printing
    assert not done.stderr
    (_,), trials = runs(tailor.folder)
    assert len(trials) == 8
    assert {run.data.tags["tailor.engine"] for run in trials} == {"keras-tuner"}
    later = []
    for run in trials:
        replay = json.loads((Path(run.info.artifact_uri.removeprefix("file://")) / "trial.json").read_text())
        steps = [m.step for m in client(tailor.folder).get_metric_history(run.info.run_id, "val_accuracy")]
        assert steps == list(range(replay["epochs_done"] + 1, replay["epochs"] + 1))
        if replay["continues"]:
            later.append((run, int(replay["continues"].split(".")[0])))
    assert later
    for run, before in later:  # the same hyperparameters, and weights that have learnt
        assert run.data.params == trials[before].data.params
        first = client(tailor.folder).get_metric_history(run.info.run_id, "train_loss")[0].value
        begun = client(tailor.folder).get_metric_history(trials[before].info.run_id, "train_loss")[0].value
        assert first < begun
    assert min(before for _, before in later) < 4
    again = tailor("search", "small.toml", "--name", "small")
    assert again.returncode == 2
    assert "differs: search.engine: keras-tuner → optuna. Undo" in again.stderr
    again = tailor("search", "small.toml", *options, "--sampler", "random")
    assert again.returncode == 2
    assert "differs: search.sampler.name: hyperband → random. Undo" in again.stderr


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "grid"])
def test_keras_tuner_goes_on_with_its_study(tailor: Shell, sampler: str) -> None:
    text = SMALL.replace("low = 1e-3, high = 1e-2, log = true", "choices = [1e-3, 1e-2]").replace("trials = 4", "trials = 2")
    (tailor.folder / "small.toml").write_text(text.replace('pruner = "median"', ""))
    options = ("--engine", "keras-tuner", "--sampler", sampler, "--workers", "1")
    assert tailor("search", "small.toml", *options).returncode == 0
    done = tailor("search", "small.toml", *options, "--trials", "4")
    assert done.returncode == 0, done.stderr
    check_whole(tailor.folder, "small", trials=4, val_size=180)
    assert len({tuple(sorted(run.data.params.items())) for run in runs(tailor.folder)[1]}) == 4


@pytest.mark.slow
def test_the_shipped_grid_trains_the_same_under_both_engines(tailor: Shell) -> None:
    # Digits are too small for its pooling; the grid is the shipped one.
    settings = (
        "study.dataset=digits",
        "data.splits={}",
        "training.precision=float32",
        "training.padding=same",
        "training.pools=1",
    )
    assert len(list_points(read_study("cnn-32-64-64").space)) == 27
    small = ("--max-epochs", "1", "--trials", "6", *(word for setting in settings for word in ("--set", setting)))
    boards = []
    for engine in ("optuna", "keras-tuner"):
        of_engine = ("--engine", engine, "--name", engine)  # the grid is the file's, and each engine has it
        done = tailor("search", "cnn-32-64-64", *of_engine, *small)
        assert done.returncode == 0, done.stderr
        boards.append(json.loads(tailor("status", engine, "--json").stdout)["leaderboard"])
    seen = [[(row["trial"], row["params"], row["value"], row["metrics"]["best_val_loss"]) for row in board] for board in boards]
    assert seen[0] == seen[1]
    assert len({tuple(sorted(row["params"].items())) for row in boards[0]}) == 6


@pytest.mark.slow
def test_one_script_reads_the_convolutional_search_of_either_engine(tailor: Shell, data_dir: Path) -> None:
    few = ("--set", "data.splits={ val = 1000, holdout = 57000 }", "--max-epochs", "2", "--trials", "3")
    few = (*few, "--set", "training.precision=float32")
    read = {}
    for engine, sampler in (("keras-tuner", "hyperband"), ("optuna", "tpe")):
        options = ("--engine", engine, "--sampler", sampler, "--name", engine, "--data", str(data_dir))
        done = tailor("search", "fashion-cnn", *options, *few)
        assert done.returncode == 0, done.stderr
        check_whole(tailor.folder, engine, trials=3, val_size=1000)
        (study,), trials = runs(tailor.folder, engine)
        read[engine] = {
            "study": sorted(study.data.tags.keys()),
            "tags": sorted({name for run in trials for name in run.data.tags} - {"tailor.status_reason"}),
            "metrics": sorted({name for run in trials for name in run.data.metrics}),
            "artifacts": sorted(item.path for item in client(tailor.folder).list_artifacts(trials[0].info.run_id)),
        }
    assert read["keras-tuner"] == read["optuna"]


def test_a_grid_counts_its_points_on_every_screen(tailor: Shell) -> None:
    text = SMALL.replace("low = 1e-3, high = 1e-2, log = true", "choices = [1e-3, 1e-2]").replace("trials = 4", "trials = 30")
    text = text.replace('"random"', '"grid"').replace('pruner = "median"', "").replace("max_epochs = 3", "max_epochs = 1")
    (tailor.folder / "small.toml").write_text(text)
    checked = json.loads(tailor("check", "small.toml", "--json").stdout)
    assert checked["trials"] == 6 and checked["begins"]["learning_rate"] in (1e-3, 1e-2)
    done = tailor("search", "small.toml", "--workers", "1")
    assert done.returncode == 0 and "up to 6 trials" in done.stdout and "add trials" not in done.stdout
    assert "6 of 6 trials" in tailor("status", "small").stdout


def test_several_objectives_with_a_constraint_and_the_front_by_brute_force(tailor: Shell) -> None:
    several = """objectives = [
  { metric = "val_accuracy", direction = "maximize" },
  { metric = "parameters", direction = "minimize" },
]
constraints = ["parameters <= 2500"]"""
    text = SMALL.replace('objective = "val_accuracy"\ndirection = "maximize"', several).replace('pruner = "median"', "")
    text = text.replace("units = 32", "").replace("[training]", "units = { low = 8, high = 64, log = true }\n[training]")
    (tailor.folder / "small.toml").write_text(text.replace("trials = 4", "trials = 9").replace('"random"', '"nsgaii"'))
    done = tailor("search", "small.toml", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "the Pareto front first (*)" in done.stdout
    (parent,), trials = runs(tailor.folder)
    points = {
        int(r.data.tags["tailor.trial"]): (r.data.metrics["best_val_accuracy"], r.data.metrics["parameters"]) for r in trials
    }
    kept = {t: p for t, p in points.items() if p[1] <= 2500}
    assert 0 < len(kept) < len(points)
    front = {t for t, (a, n) in kept.items() if not any((b >= a and m <= n) and (b, m) != (a, n) for b, m in kept.values())}
    board = json.loads(tailor("status", "small", "--json").stdout)["leaderboard"]
    assert {row["trial"] for row in board if row["front"] == 0} == front
    assert [row["trial"] for row in board][: len(front)] == sorted(front, key=lambda t: -points[t][0])
    assert {row["trial"] for row in board if row["front"] is None} == points.keys() - kept.keys()
    plots = {item.path for item in client(tailor.folder).list_artifacts(parent.info.run_id, "plots")}
    assert plots == {"plots/plots.html"}
    assert "<h2>pareto front</h2>" in (artifacts(parent) / "plots" / "plots.html").read_text(encoding="utf-8")
    promoted = tailor("promote", "small", "--to", "tiny", "--quick")
    assert promoted.returncode == 0, promoted.stderr
    version = client(tailor.folder).get_model_version_by_alias("tiny", "champion")
    assert int(version.tags["tailor.trial"]) == board[0]["trial"]
