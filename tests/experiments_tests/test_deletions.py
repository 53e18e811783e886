"""Deleting a study on a real store: what goes, what its registered versions keep, what MLflow's pages deleted before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import OwnProcess, Shell
from searches import artifacts, client, list_studies, runs

from tailor.experiments.maintenance.delete import find_digests
from tailor.experiments.registry.forms import FOLDER
from tailor.experiments.registry.versions import TRIALS
from tailor.experiments.system.file_lock import lock_study
from tailor.experiments.tracking.pending import KEPT
from tailor.experiments.tracking.tags import DIGEST


def list_data(folder: Path) -> list[Path]:
    """The cached data; the LiteRT forms of versions lie beside it, and gc looks after them."""
    return [path for path in (folder / "mlruns" / "cache").iterdir() if path.name != FOLDER]


def test_a_deleted_study_keeps_what_its_registered_version_needs(copy: Shell) -> None:
    mlflow = client(copy.folder)
    (version,) = mlflow.search_model_versions("name = 'digits'")
    _, trials = runs(copy.folder)
    others = [run for run in trials if run.data.tags["tailor.trial"] != version.tags["tailor.trial"]]
    (data,) = list_data(copy.folder)
    data.with_name(f"{data.name}-refit").mkdir()  # as `promote --register refit` leaves it
    cached = list_data(copy.folder)
    done = copy("delete", "small", "--yes")
    assert done.returncode == 0, done.stderr
    assert "digits version 1 needs the rest" in done.stdout and "Deleted: freed" in done.stdout
    assert list_studies(copy.folder) == [] and cached and not any(path.exists() for path in cached)
    _, left = runs(copy.folder)
    assert [run.info.run_id for run in left] == [version.run_id]
    assert mlflow.get_run(version.tags["tailor.evidence"]) and artifacts(mlflow.get_run(version.run_id)).is_dir()
    assert not any(artifacts(run).parent.exists() for run in others)
    assert copy("pull", "digits", "-o", "got").returncode == 0  # its files and labels
    assert copy("show", f"small:{version.tags['tailor.trial']}").returncode == 0
    again = copy("delete", "small", "--yes")
    assert (again.returncode, "was deleted before" in again.stdout) == (0, True)
    refused = copy("search", "small.toml")
    assert refused.returncode == 2 and "was deleted, except for what digits version 1 needs" in refused.stderr
    for command in ("promote", "ensemble"):
        refused = copy(command, "small", "--to", "other")
        assert refused.returncode == 2 and refused.stderr.endswith("digits version 1 needs; there is nothing to promote.\n")
    renamed = OwnProcess(copy.folder)("rename", "small", "old")  # in this one MLflow knows the run by the shared store's files
    assert renamed.returncode == 0 and "tailor status old" in renamed.stdout and "To add trials" not in renamed.stdout
    repaired = copy("fsck", "old")
    assert repaired.returncode == 2 and repaired.stderr.endswith("digits version 1 needs; there is nothing to repair.\n")


def test_a_deleted_study_keeps_all_trials_of_its_registered_ensemble(copy: Shell) -> None:
    mlflow = client(copy.folder)
    (version,) = mlflow.search_model_versions("name = 'digits'")
    own = int(version.tags["tailor.trial"])
    members = [own, (own + 1) % 4]
    mlflow.set_model_version_tag("digits", "1", TRIALS, json.dumps(members))
    assert copy("delete", "small", "--yes").returncode == 0
    assert [int(run.data.tags["tailor.trial"]) for run in runs(copy.folder)[1]] == sorted(members)


def test_a_name_whose_versions_are_all_deleted_needs_nothing(copy: Shell) -> None:
    mlflow = client(copy.folder)
    (version,) = mlflow.search_model_versions("name = 'digits'")
    evidence = artifacts(mlflow.get_run(version.tags["tailor.evidence"]))
    mlflow.delete_model_version("digits", "1")
    assert evidence.is_dir() and copy("delete", "small", "--yes").returncode == 0
    assert not evidence.parent.exists()


def test_a_deleted_study_uses_no_data(copy: Shell) -> None:
    """Else what two of them shared would stay for ever."""
    mlflow = client(copy.folder)
    (study,), _ = runs(copy.folder)
    number = mlflow.create_experiment("gone", tags={KEPT: "other version 1"})
    mlflow.create_run(number, tags={"tailor.kind": "study", DIGEST: "its"})
    assert find_digests(mlflow) == {study.data.tags[DIGEST]}
    mlflow.delete_experiment_tag(number, KEPT)
    assert find_digests(mlflow) == {study.data.tags[DIGEST], "its"}


@pytest.mark.parametrize("command", [("delete", "small"), ("gc",)])
def test_a_study_that_was_deleted_in_mlflow_keeps_what_its_version_needs(own: OwnProcess, command: tuple[str, ...]) -> None:
    mlflow = client(own.folder)
    (version,) = mlflow.search_model_versions("name = 'digits'")
    (parent,), _ = runs(own.folder)
    evidence, kind = version.tags["tailor.evidence"], "tailor.kind"
    mlflow.delete_experiment(parent.info.experiment_id)  # on MLflow's pages
    refused = own("status", "small")
    assert refused.returncode == 2 and "remove the rest with `tailor delete small`, or restore it" in refused.stderr
    done = own(*command, "--yes")
    assert done.returncode == 0, done.stderr
    assert "was deleted, except for what digits version 1 needs" in own("search", "small.toml").stderr
    assert list_studies(own.folder) == []
    for run in (parent.info.run_id, version.run_id, evidence):
        assert artifacts(mlflow.get_run(run)).is_dir()
    assert own("pull", "digits", "-o", "got").returncode == 0
    assert [run.info.run_id for run in runs(own.folder)[1]] == [version.run_id]
    assert mlflow.get_run(evidence).data.tags[kind] == "promotion"
    assert "was deleted before" in own("delete", "small", "--yes").stdout


@pytest.mark.parametrize("command", [("delete", "small"), ("gc",)])
def test_a_study_that_was_deleted_in_mlflow_goes_wholly_without_a_version(copy: Shell, command: tuple[str, ...]) -> None:
    mlflow = client(copy.folder)
    mlflow.delete_registered_model("digits")
    mlflow.delete_experiment(mlflow.get_experiment_by_name("small").experiment_id)
    assert copy(*command, "--yes").returncode == 0
    assert mlflow.get_experiment_by_name("small") is None and list_studies(copy.folder) == []
    assert not any(path.is_file() for path in (copy.folder / "mlruns" / "artifacts").rglob("*"))


def test_an_empty_experiment_can_be_deleted_but_no_other_tools(copy: Shell) -> None:
    mlflow = client(copy.folder)
    mlflow.create_experiment("begun")
    other = mlflow.create_experiment("other")
    mlflow.create_run(other)
    assert copy("delete", "begun", "--yes").returncode == 0 and mlflow.get_experiment_by_name("begun") is None
    for name in ("other", "Default"):
        refused = copy("delete", name, "--yes")
        assert refused.returncode == 2 and "is no study of Tailor's" in refused.stderr


def test_a_study_without_a_version_goes_wholly_and_gives_its_name_free(copy: Shell) -> None:
    mlflow = client(copy.folder)
    mlflow.delete_registered_model("digits")
    experiment = mlflow.get_experiment_by_name("small")
    asked = copy("delete", "small")
    assert asked.returncode == 2 and "--yes" in asked.stderr and mlflow.get_experiment_by_name("small") is not None
    assert copy("delete", "small", "--yes").returncode == 0
    assert experiment is not None and mlflow.get_experiment_by_name("small") is None and list_studies(copy.folder) == []
    assert not any(path.is_file() for path in (copy.folder / "mlruns" / "artifacts").rglob("*"))
    assert list_data(copy.folder) == []
    missing = copy("delete", "small", "--yes")
    assert missing.returncode == 2 and "there is no study 'small'" in missing.stderr


def test_an_experiment_with_range_tests_alone_is_no_study_yet_and_can_be_deleted(copy: Shell) -> None:
    mlflow = client(copy.folder)
    mlflow.create_run(mlflow.create_experiment("only"), tags={"tailor.kind": "lr-range"})
    mlflow.create_run(mlflow.create_experiment("foreign"))
    for command in (("status", "only"), ("rename", "only", "new")):
        done = copy(*command)
        assert done.returncode == 2 and "'only' was not searched yet" in done.stderr
    taken = copy("rename", "small", "only")
    assert taken.returncode == 2 and "the name 'only' is taken already" in taken.stderr
    foreign = copy("delete", "foreign", "--yes")
    assert foreign.returncode == 2 and "is no study of Tailor's" in foreign.stderr
    done = copy("delete", "only", "--yes")
    assert done.returncode == 0 and "only: runs: 1, " in done.stdout and mlflow.get_experiment_by_name("only") is None


def test_a_deletion_that_is_refused_leaves_the_study_as_a_person_deleted_it(copy: Shell) -> None:
    mlflow = client(copy.folder)
    number = runs(copy.folder)[0][0].info.experiment_id
    mlflow.delete_experiment(number)
    with lock_study(copy.folder / "mlruns" / "locks", "small"):
        assert copy("delete", "small", "--yes").returncode == 2
    assert mlflow.get_experiment(number).lifecycle_stage == "deleted"


def test_a_deleted_study_that_was_deleted_in_mlflow_too_is_restored_to_what_its_version_needs(own: OwnProcess) -> None:
    mlflow = client(own.folder)
    assert own("delete", "small", "--yes").returncode == 0
    number = runs(own.folder)[0][0].info.experiment_id
    mlflow.delete_experiment(number)
    assert own("delete", "small", "--yes").returncode == 0
    assert mlflow.get_experiment(number).lifecycle_stage == "active" and len(runs(own.folder)[1]) == 1
