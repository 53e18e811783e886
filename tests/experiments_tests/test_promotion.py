"""A promotion from end to end: candidates on fresh seeds, the choice on holdout, gates, averages, and what stays closed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Shell
from mlflow import MlflowClient
from mlflow.entities import Run
from searches import client, copy_study

import tailor
from tailor.experiments.datasets import splits as splitting
from tailor.experiments.datasets.catalog import open_dataset
from tailor.experiments.datasets.splits import split
from tailor.experiments.promotion import choice
from tailor.experiments.promotion.ensemble import select
from tailor.experiments.promotion.statistics import Predictions
from tailor.experiments.promotion.trainings import read_trained
from tailor.experiments.registry.files import fetch_saved_model, find_logged_models
from tailor.experiments.registry.register import Registration, register
from tailor.experiments.tracking.kinds import CANDIDATE, REFIT, SEEDS, TRIAL
from tailor.experiments.tracking.reader import find_study
from tailor.search.study.goal import Constraint, Goal
from tailor.search.study.spec import DataPlan

TWICE = ("--candidates", "2", "--seeds", "2")


def runs_of(mlflow: MlflowClient, kind: str, study: str = "small") -> list[Run]:
    experiment = mlflow.get_experiment_by_name(study)
    assert experiment is not None
    return list(mlflow.search_runs([experiment.experiment_id], f"tags.`tailor.kind` = '{kind}'", order_by=["start_time ASC"]))


@pytest.fixture(scope="module")
def shell(recorded: Shell, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The finished study `small` in a folder of this file's own."""
    folder = tmp_path_factory.mktemp("promoted")
    copy_study(recorded.folder, folder)
    return Shell(folder)


@pytest.fixture(scope="module")
def promoted(shell: Shell) -> dict[str, Any]:
    """The study `small`, promoted to `fresh` by two candidates on two seeds each; what was printed."""
    done = shell("promote", "small", "--to", "fresh", *TWICE, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_candidates_are_the_best_trials_on_the_same_fresh_seeds(shell: Shell, promoted: dict[str, Any]) -> None:
    mlflow = client(shell.folder)
    trials, candidates = runs_of(mlflow, TRIAL.name), runs_of(mlflow, CANDIDATE.name)
    complete = [run for run in trials if run.data.tags["tailor.status"] == "complete"]
    best = sorted(complete, key=lambda run: -run.data.metrics["best_val_accuracy"])[:2]
    assert {run.data.tags["tailor.trial"] for run in candidates} == {run.data.tags["tailor.trial"] for run in best}
    seeds = {trial: set() for trial in {run.data.tags["tailor.trial"] for run in candidates}}
    for run in candidates:
        seeds[run.data.tags["tailor.trial"]].add(run.data.tags["tailor.seed"])
        twin = next(one for one in best if one.data.tags["tailor.trial"] == run.data.tags["tailor.trial"])
        assert twin.data.params.items() <= run.data.params.items() and run.info.status == "FINISHED"
    first, second = seeds.values()
    assert first == second and len(first) == 2
    assert not first & {run.data.tags["tailor.seed"] for run in trials}


def test_the_choice_is_made_on_holdout_and_recorded_before_the_test_set_is_opened(shell: Shell, promoted: dict[str, Any]) -> None:
    mlflow, chosen = client(shell.folder), promoted["choice"]
    scores = {}
    for run in runs_of(mlflow, CANDIDATE.name):
        scores.setdefault(int(run.data.tags["tailor.trial"]), []).append(run.data.metrics["holdout_accuracy"])
    ranking = {row["trial"]: row for row in chosen["ranking"]}
    assert {trial: sorted(row["scores"]) for trial, row in ranking.items()} == {t: sorted(s) for t, s in scores.items()}
    winner = chosen["ranking"][0]
    assert chosen["trial"] == winner["trial"] and winner["tied"]
    assert chosen["holdout"]["value"] == pytest.approx(min(winner["scores"]))  # of two seeds, the median is the lower
    (evidence,) = [run for run in runs_of(mlflow, "promotion") if run.data.tags["tailor.to"] == "fresh"]
    assert evidence.data.tags["tailor.model_id"] == chosen["model_id"] and evidence.info.status == "FINISHED"
    assert evidence.data.tags["tailor.choice"] == "the median of 2 fresh seeds"
    version = mlflow.get_model_version_by_alias("fresh", "champion")
    assert version.source == f"models:/{chosen['model_id']}" and version.run_id == chosen["run_id"]
    assert version.tags["tailor.evidence"] == evidence.info.run_id == promoted["run_id"]


def test_what_was_judged_is_what_was_registered(shell: Shell, promoted: dict[str, Any], tmp_path: Path) -> None:
    mlflow = client(shell.folder)
    path = mlflow.download_artifacts(promoted["run_id"], "test_predictions.npz", str(tmp_path))
    kept = np.load(path)
    test = split(open_dataset("digits", None), DataPlan()).test
    assert (kept["labels"] == test.labels).all()
    right = Predictions(kept["labels"], kept["challenger"]).right.mean()
    version = mlflow.get_model_version_by_alias("fresh", "champion")
    assert float(version.tags["tailor.test_accuracy"]) == pytest.approx(right) == promoted["test"]["value"]
    done = shell("pull", "fresh", "-o", str(tmp_path / "got"))
    assert done.returncode == 0, done.stderr
    import keras

    answers = keras.saving.load_model(tmp_path / "got" / "model.keras", compile=False).predict(test.images, verbose=0)
    assert np.allclose(answers, kept["challenger"], atol=1e-5)
    card = (tmp_path / "got" / "card.md").read_text()
    assert f"{right:.4f} (" in card and "opened once" in card and "Calibration error" in card


def test_the_same_command_trains_nothing_again_and_opens_nothing(shell: Shell, promoted: dict[str, Any]) -> None:
    mlflow = client(shell.folder)
    before = len(runs_of(mlflow, CANDIDATE.name))
    done = shell("promote", "small", "--to", "fresh", *TWICE)
    assert done.returncode == 0 and "this model is registered already" in done.stdout and "training" not in done.stdout
    assert len(runs_of(mlflow, CANDIDATE.name)) == before
    assert mlflow.get_registered_model("fresh").tags["tailor.test_openings"] == "1"


def test_a_promotions_runs_are_no_trials_to_reproduce(shell: Shell, promoted: dict[str, Any]) -> None:
    for kind, run_id in (("candidate", promoted["choice"]["run_id"]), ("promotion", promoted["run_id"])):
        done = shell("reproduce", run_id)
        assert done.returncode == 2 and f"got a run of kind {kind!r}; give small:TRIAL" in done.stderr


def test_candidates_are_no_trials(shell: Shell, promoted: dict[str, Any]) -> None:
    status = json.loads(shell("status", "small", "--json").stdout)
    assert sorted(row["trial"] for row in status["leaderboard"]) == [0, 1, 2, 3]
    assert {row["run_id"] for row in status["leaderboard"]}.isdisjoint(
        run.info.run_id for run in runs_of(client(shell.folder), CANDIDATE.name)
    )


def test_a_dry_run_opens_and_registers_nothing(shell: Shell, promoted: dict[str, Any]) -> None:
    done = shell("promote", "small", "--to", "dry", *TWICE, "--dry-run")
    assert done.returncode == 0 and "the test set stays closed, and nothing is registered" in done.stdout
    assert not client(shell.folder).search_registered_models("name = 'dry'")


def test_a_gate_refuses_before_the_test_set_is_opened(shell: Shell, promoted: dict[str, Any]) -> None:
    done = shell("promote", "small", "--to", "small-ones", *TWICE, "--model-bytes", "1000")
    assert done.returncode == 4 and "Refused: promotion.model_bytes: it has " in done.stdout
    assert not client(shell.folder).search_registered_models("name = 'small-ones'")
    wrong = shell("promote", "small", "--to", "small-ones", "--seeds", "0")
    assert wrong.returncode == 2 and "promotion.seeds" in wrong.stderr


def test_a_promotion_that_died_is_judged_anew_if_there_is_another_champion(shell: Shell, promoted: dict[str, Any]) -> None:
    mlflow, name = client(shell.folder), "left"
    ranked = promoted["choice"]["ranking"]
    first, other = ranked[0]["trial"], ranked[1]["trial"]
    study = find_study(mlflow, "small")
    assert study is not None
    model_id = find_logged_models(study)[first]
    mlflow.create_registered_model(name)
    register(mlflow, Registration(name, model_id, "", {"tailor.judged_against": ""}, "a card"))  # and died before its alias
    assert shell("promote", f"small:{other}", "--to", name, "--quick").returncode in (0, 3)
    refused = shell("promote", f"small:{first}", "--to", name, "--quick", "--model-bytes", "1")
    assert refused.returncode == 4 and len(mlflow.search_model_versions(f"name = '{name}'")) == 1
    done = shell("promote", f"small:{first}", "--to", name, "--quick")
    assert done.returncode in (0, 3)
    version = next(one for one in mlflow.search_model_versions(f"name = '{name}'") if one.source == f"models:/{model_id}")
    assert "the search's own model, not trained again" in version.description and "chose the model" not in version.description
    assert version.tags["tailor.judged_against"] == "2" and version.tags["tailor.alias"] in ("champion", "challenger")


def test_seeds_can_be_registered_as_their_average(shell: Shell, promoted: dict[str, Any], tmp_path: Path) -> None:
    trial = promoted["choice"]["trial"]
    done = shell("promote", f"small:{trial}", "--to", "averaged", *TWICE, "--register", "average", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["choice"]["how"] == "the average of 2 fresh seeds" and found["choice"]["members"] == 2
    mlflow = client(shell.folder)
    test = split(open_dataset("digits", None), DataPlan()).test
    assert shell("pull", "averaged", "-o", str(tmp_path / "got")).returncode == 0
    import keras

    def predict(path: Path) -> np.ndarray:
        return keras.saving.load_model(path, compile=False).predict(test.images, verbose=0)

    experiment = mlflow.get_experiment_by_name("small")
    assert experiment is not None
    wanted = {str(trial * SEEDS + seed) for seed in range(2)}
    logged = mlflow.search_logged_models([experiment.experiment_id])
    members = [model.model_id for model in logged if model.tags.get(CANDIDATE.tag) in wanted]
    parts = [predict(fetch_saved_model(mlflow, member).path) for member in members]
    assert len(parts) == 2 and np.allclose(predict(tmp_path / "got" / "model.keras"), np.mean(parts, axis=0), atol=1e-5)


def test_the_winner_can_be_trained_again_on_all_but_test(shell: Shell, promoted: dict[str, Any]) -> None:
    mlflow, before = client(shell.folder), promoted["choice"]
    command = ("promote", f"small:{before['trial']}", *TWICE, "--register", "refit")
    done = shell(*command, "--to", "refitted", "--json")
    assert done.returncode == 0, done.stderr
    chosen = json.loads(done.stdout)["choice"]
    (refit,) = runs_of(mlflow, REFIT.name)
    median = mlflow.get_run(before["run_id"])
    assert chosen["run_id"] == refit.info.run_id and chosen["holdout"] == before["holdout"]
    assert refit.data.tags["tailor.seed"] == median.data.tags["tailor.seed"] and refit.data.params == median.data.params
    assert refit.data.metrics["best_epoch"] == median.data.metrics["best_epoch"]
    assert f"trained again on train, val and holdout for {int(median.data.metrics['best_epoch'])} epochs" in chosen["how"]
    version = mlflow.get_model_version_by_alias("refitted", "champion")
    assert version.source == f"models:/{chosen['model_id']}" != f"models:/{before['model_id']}"
    assert version.tags["tailor.trained_on_holdout"] == "true"

    parts = split(open_dataset("digits", None), DataPlan())
    images = np.load(shell.folder / "mlruns" / "cache" / f"{parts.digest}-refit" / "train_images.npy")
    assert (images == np.concatenate([parts.train.images, parts.val.images, parts.holdout.images])).all()
    again = shell(*command, "--to", "refitted-too")
    assert again.returncode == 0 and "training" not in again.stdout.split("Chosen")[0]
    assert len(runs_of(mlflow, REFIT.name)) == 1
    study = find_study(mlflow, "small")
    assert study is not None
    trained = read_trained(study)  # what an ensemble is selected of: no model that has seen holdout
    assert {one.run_id for one in trained.values()} == {run.info.run_id for run in runs_of(mlflow, CANDIDATE.name)}


def test_holdout_and_test_are_not_in_the_workers_folder(shell: Shell) -> None:
    parts = split(open_dataset("digits", None), DataPlan())
    kept = [np.load(path) for path in (shell.folder / "mlruns" / "cache" / parts.digest).glob("*_images.npy")]
    assert sorted(len(images) for images in kept) == sorted([len(parts.train), len(parts.val)])
    seen = {image.tobytes() for images in kept for image in images}
    for hidden in (parts.holdout, parts.test):
        assert sum(image.tobytes() in seen for image in hidden.images) <= 1  # equal digits may exist


def test_the_cache_takes_train_and_val_alone(tmp_path: Path) -> None:
    parts = split(open_dataset("digits", None), DataPlan())
    handle = splitting.cache(parts, tmp_path)
    names = {path.name for path in Path(handle.folder).iterdir()}
    assert names == {"train_images.npy", "train_labels.npy", "val_images.npy", "val_labels.npy"}


def test_the_same_from_python(shell: Shell, promoted: dict[str, Any], tmp_path: Path) -> None:
    store = shell.folder / "mlruns"
    result = tailor.open("small", store=store)
    assert len(result.trials) == 4 and result.best.trial in result.trials["trial"].tolist()
    done = tailor.promote("small", to="fresh", settings={"candidates": 2, "seeds": 2}, store=store, quiet=True)
    assert (done.version, done.alias, done.choice.trial) == ("1", "champion", promoted["choice"]["trial"])
    test = split(open_dataset("digits", None), DataPlan()).test
    answers = tailor.predict("fresh", test.images, store=store)
    assert (answers.argmax(axis=1) == test.labels).mean() == pytest.approx(promoted["test"]["value"])
    assert {path.name for path in tailor.pull("fresh", tmp_path / "got", store=store)} >= {"model.keras", "card.md"}
    with pytest.raises(tailor.InputError, match=r"images: expected an array, uint8 \(n, 8, 8, 1\), got float32"):
        tailor.predict("fresh", test.images.astype("float32"), store=store)
    for call in (tailor.open, lambda name, store: tailor.promote(name, to="x", store=store)):
        with pytest.raises(tailor.InputError, match=r"there is no study 'smal'.*small"):
            call("smal", store=store)


def test_an_ensemble_is_one_model_that_loads_like_any_other(
    shell: Shell, promoted: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "select", lambda metric, models, most: [0, 1, 1])  # what is best differs between machines
    done = shell("ensemble", "small", "--to", "together", "--json")
    assert done.returncode == 0, done.stderr
    assert "not trained again" not in client(shell.folder).get_model_version_by_alias("together", "champion").description
    found = json.loads(done.stdout)
    assert found["choice"]["how"] == "an ensemble of 2 models, weighted in 3 parts"
    trials = found["choice"]["trials"]
    assert f"small, trials {', '.join(map(str, trials))}" in shell("models", "together").stdout
    assert json.loads(shell("models", "together", "--json").stdout)[0]["trials"] == trials
    assert shell("pull", "together", "-o", str(tmp_path / "got")).returncode == 0
    import keras

    test = split(open_dataset("digits", None), DataPlan()).test
    answers = keras.saving.load_model(tmp_path / "got" / "model.keras", compile=False).predict(test.images, verbose=0)
    assert np.allclose(answers.sum(axis=1), 1, atol=1e-5)
    assert (answers.argmax(axis=1) == test.labels).mean() == pytest.approx(found["test"]["value"])
    with monkeypatch.context() as patched:
        for what in ("read_trained", "find_logged_models"):
            patched.setattr(choice, what, lambda study: {})
        none = shell("ensemble", "small", "--to", "none")
    assert none.returncode == 2 and " complete trials, and keeps 0 models of such; an ensemble needs two" in none.stderr
    with monkeypatch.context() as patched:
        limit = Constraint("parameters", "<=", 4000)
        patched.setattr(Goal, "find_broken", lambda self, values: limit if limit.violation(values) > 0 else None)
        both = shell("ensemble", "small", "--to", "both")
    assert (
        both.returncode == 1 and "of 2 models, breaks the study's constraint parameters <= 4000; promote a single" in both.stderr
    )
    monkeypatch.setattr(choice, "select", lambda metric, models, most: [1])
    alone = shell("ensemble", "small", "--to", "alone")
    assert alone.returncode == 1 and "no combination of the " in alone.stderr
    assert "promote that one: `tailor promote small:" in alone.stderr


def test_an_ensemble_grows_while_it_helps() -> None:
    labels = np.zeros(4, int)
    strong = [[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]  # each is wrong on another example
    other = [[0.2, 0.8], [0.9, 0.1], [0.9, 0.1], [0.9, 0.1]]
    poor = [[0.1, 0.9]] * 4
    models = [Predictions(labels, np.array(one)) for one in (poor, strong, other)]
    assert sorted(select("accuracy", models, 20)) == [1, 2]
    assert select("accuracy", [models[0], models[1]], 20) == [1]  # adding the poor one never helps
