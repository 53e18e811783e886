"""Deleting, renaming and collecting what changed meanwhile: in another terminal, in MLflow's pages, from another store."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from conftest import TAILOR, OwnProcess, Shell
from searches import client, list_studies, runs

from tailor.experiments.cli import delete as cli
from tailor.experiments.maintenance import gc
from tailor.experiments.maintenance.delete import delete, plan_deletion
from tailor.experiments.maintenance.hold import hold_store, hold_study
from tailor.experiments.store import Store
from tailor.experiments.tracking.lease import TAG


@pytest.fixture
def while_asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Does something while `tailor delete` waits for its answer, which is yes."""

    def do(something: Callable[[], object]) -> None:
        def answer(question: str, sure: bool) -> bool:
            something()
            return True

        monkeypatch.setattr(cli, "confirm", answer)

    return do


def test_a_version_that_is_registered_while_delete_asks_keeps_what_it_needs(
    copy: Shell, own: OwnProcess, while_asked: Callable[[Callable[[], object]], None]
) -> None:
    client(copy.folder).delete_registered_model("digits")
    while_asked(lambda: own("promote", "small", "--to", "other", "--quick"))
    done = copy("delete", "small")
    assert done.returncode == 0, done.stderr
    assert "needs" not in done.stdout.splitlines()[0] and done.stdout.endswith("other version 1 needs the rest, which stays.\n")
    assert own("pull", "other", "-o", "got").returncode == 0
    assert len(runs(copy.folder)[1]) == 1 and list_studies(copy.folder) == []


def test_a_study_that_gets_more_runs_while_delete_asks_is_not_deleted(
    copy: Shell, own: OwnProcess, while_asked: Callable[[Callable[[], object]], None]
) -> None:
    while_asked(lambda: own("search", "small.toml", "--trials", "5", "--workers", "1"))
    refused = copy("delete", "small")
    assert refused.returncode == 2 and "changed while you were asked" in refused.stderr, refused.stdout + refused.stderr
    assert refused.stderr.endswith("Nothing was deleted; run `tailor delete small` again.\n")
    assert len(runs(copy.folder)[1]) == 5 and list_studies(copy.folder) == ["small"]


@pytest.mark.parametrize("whole", [True, False], ids=["store", "study"])
def test_the_first_promotion_of_a_study_waits_for_a_change_of_it(copy: Shell, whole: bool) -> None:
    store = Store.at(str(copy.folder / "mlruns"), {})
    lock = store.locks / "small+promotion.lock"
    lock.unlink()
    mlflow = client(copy.folder)
    number = runs(copy.folder)[0][0].info.experiment_id
    held = hold_store(store) if whole else hold_study(mlflow, store, "small", number, print)
    with held, lock.open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_an_experiment_whose_name_no_study_can_have_is_left_alone(copy: Shell) -> None:
    mlflow, names = client(copy.folder), ("a'b", "team/vision", "..")
    for name in names:
        unknown = copy("delete", name, "--yes")
        assert unknown.returncode == 2 and f"there is no study {name!r} in the store; there are: small" in unknown.stderr
        mlflow.create_experiment(name)
        foreign = copy("delete", name, "--yes")
        assert foreign.returncode == 2 and f"the experiment {name!r} is no study of Tailor's" in foreign.stderr
        renamed = copy("rename", name, "new")
        assert renamed.returncode == 2 and f"there is no study {name!r} in the store" in renamed.stderr
    for name in names:  # as the range tests of a study whose experiment was renamed and deleted in MLflow's pages
        number = mlflow.get_experiment_by_name(name).experiment_id
        mlflow.create_run(number, tags={"tailor.kind": "lr-range"})
        mlflow.delete_experiment(number)
    done = copy("gc", "--yes")
    assert done.returncode == 0, done.stderr
    assert all(mlflow.get_experiment_by_name(name) is not None for name in names)
    assert copy("status", "small").returncode == 0 and list_studies(copy.folder) == ["small"]


def test_a_model_that_another_tool_registered_stops_neither_gc_nor_delete(copy: Shell) -> None:
    mlflow, name = client(copy.folder), "Modell (alt)"  # no name that Tailor takes
    mlflow.create_registered_model(name)
    mlflow.create_model_version(name, copy.folder.as_uri())
    for command in (("gc",), ("delete", "small")):
        done = copy(*command, "--yes")
        assert done.returncode == 0, done.stderr
    assert copy("pull", "digits", "-o", "got").returncode == 0


def test_a_study_with_a_name_too_long_for_a_promotions_lock_stops_nobody(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path / "mlruns"), {})
    store.locks.mkdir(parents=True)
    (store.locks / f"{'a' * 250}.lock").touch()  # of an earlier version
    with hold_store(store):
        assert [path.name for path in store.locks.glob("*+*")] == []


def test_a_study_whose_experiment_was_renamed_in_mlflow_is_not_changed_by_that_name(copy: Shell, own: OwnProcess) -> None:
    mlflow, state = client(copy.folder), copy.folder / "mlruns" / "keras_tuner" / "small"
    info = runs(copy.folder)[0][0].info
    number, own_run = info.experiment_id, info.run_id
    state.mkdir(parents=True)  # as Keras Tuner keeps it
    mlflow.rename_experiment(number, "foo")
    back = f'eval "$(tailor env)", then mlflow experiments rename -x {number} --new-name small.\n'
    said = f"study 'small': its experiment was renamed to 'foo' in MLflow. Rename it back: {back}"
    search = ("search", "small.toml", "--name", "foo")
    changes = (("rename", "foo", "bar"), ("delete", "foo", "--yes"), search, (*search, "--fresh"))
    for command in (*changes, ("status", "small"), ("delete", "small", "--yes")):
        refused = copy(*command)
        assert refused.returncode == 2 and refused.stderr.endswith(said), refused.stderr
    assert copy("status", "foo").stdout.endswith("tailor ui foo\n")
    mlflow.delete_run(own_run)
    assert said in copy("status", "small").stderr
    mlflow.restore_run(own_run)
    assert copy("gc", "--yes").returncode == 0 and state.is_dir() and list_studies(copy.folder) == ["small"]
    mlflow.delete_experiment(number)
    restore = f"mlflow experiments restore -x {number}, then mlflow experiments rename -x {number}"
    refused = copy("delete", "foo", "--yes")
    assert refused.returncode == 2 and restore in refused.stderr
    done = copy("gc", "--yes")
    assert done.returncode == 0 and "left: study 'small': its experiment was renamed" in done.stdout
    mlflow.restore_experiment(number)
    mlflow.rename_experiment(number, "small")
    assert own("rename", "small", "bar").returncode == 0 and list_studies(copy.folder) == ["bar"]


def test_a_study_whose_run_was_deleted_in_mlflow_says_how_to_restore_it(own: OwnProcess) -> None:
    mlflow, number = client(own.folder), runs(own.folder)[0][0].info.run_id
    mlflow.delete_run(number)
    restore = f'or restore it: eval "$(tailor env)", then mlflow runs restore --run-id {number}.\n'
    said = f"the run of study 'small' was deleted in MLflow. Delete the rest with `tailor delete small`, {restore}"
    search = ("search", "small.toml")
    for command in (("status", "small"), ("fsck", "small"), ("rename", "small", "big"), search, (*search, "--fresh")):
        refused = own(*command)
        assert refused.returncode == 2 and refused.stderr.endswith(said), refused.stderr
    unknown = own("status", "smal")
    assert unknown.returncode == 2 and "there is no study 'smal' in the store; there are: none yet" in unknown.stderr
    mlflow.delete_registered_model("digits")  # whose version would keep the run
    assert own("gc", "--yes").returncode == 0
    mlflow.restore_run(number)
    assert own("status", "small").returncode == 0


def test_a_study_whose_run_was_deleted_in_mlflow_is_deleted_but_for_what_its_version_needs(own: OwnProcess) -> None:
    mlflow, number = client(own.folder), runs(own.folder)[0][0].info.run_id
    mlflow.delete_run(number)
    for _ in range(2):  # again, after a person deleted the run of the deleted study
        done = own("delete", "small", "--yes")
        assert done.returncode == 0 and "digits version 1 needs the rest" in done.stdout
        assert "deleted, except for what digits version 1 needs" in own("status", "small").stdout
        mlflow.delete_run(number)
    mlflow.delete_registered_model("digits")
    assert own("delete", "small", "--yes").returncode == 0 and mlflow.get_experiment_by_name("small") is None


def test_gc_leaves_a_study_that_was_deleted_in_mlflow_to_the_store_that_it_ran_from(copy: Shell) -> None:
    mlflow, other = client(copy.folder), copy.folder / "other"
    number = runs(copy.folder)[0][0].info.experiment_id
    mlflow.set_experiment_tag(number, TAG, json.dumps({"token": "t", "pid": 7, "host": "far", "store": "/far/mlruns"}))
    mlflow.delete_experiment(number)
    gc = ("gc", "--yes", "--store", str(other))
    shared = f"sqlite:///{copy.folder / 'mlruns' / 'mlflow.db'}"
    done = copy(*gc, MLFLOW_TRACKING_URI=shared)
    said = f"left: study 'small' did not run from the store {other}; run gc with the store that it ran from.\n"
    assert done.returncode == 0 and said in done.stdout, done.stdout + done.stderr
    (other / "locks").mkdir(parents=True)
    (other / "locks" / "small.lock").touch()  # it ran from this store too, and then from another
    done = copy(*gc, MLFLOW_TRACKING_URI=shared)
    assert done.returncode == 0 and "left: study 'small' may be running elsewhere, by process 7 on far" in done.stdout
    assert mlflow.get_experiment(number).lifecycle_stage == "deleted" and list_studies(copy.folder) == ["small"]
    mlflow.restore_experiment(number)
    mlflow.set_experiment_tag(number, TAG, "")  # that process gave it back
    mlflow.delete_experiment(number)
    done = copy("gc", "--yes")
    assert done.returncode == 0 and "left:" not in done.stdout and list_studies(copy.folder) == []


@pytest.mark.parametrize("end", [KeyboardInterrupt, OSError], ids=["ctrl-c", "error"])
def test_a_deletion_that_ends_before_it_began_leaves_the_study_as_a_person_deleted_it(
    copy: Shell, end: type[BaseException]
) -> None:
    mlflow, store = client(copy.folder), Store.at(str(copy.folder / "mlruns"), {})
    number = runs(copy.folder)[0][0].info.experiment_id
    mlflow.set_experiment_tag(number, TAG, json.dumps({"token": "t", "pid": 7, "host": "far", "store": "/far/mlruns"}))
    mlflow.delete_experiment(number)
    shared = replace(store, tracking_uri=f"{store.tracking_uri}?shared")  # not local: it waits for a sign of life
    plan = plan_deletion(mlflow, shared, "small")

    def stop(line: str) -> None:
        assert "waiting 45 s" in line and mlflow.get_experiment(number).lifecycle_stage == "active"
        raise end

    with pytest.raises(end):
        delete(plan, mlflow, shared, stop)
    assert mlflow.get_experiment(number).lifecycle_stage == "deleted" and list_studies(copy.folder) == ["small"]


def test_gc_says_what_it_freed_also_if_a_database_cannot_be_compacted(copy: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "PATIENCE", 0.1)
    (copy.folder / "mlruns" / "checkpoints" / "none").mkdir(parents=True)
    path = copy.folder / "mlruns" / "studies.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as busy:
        busy.execute("BEGIN IMMEDIATE")
        done = copy("gc", "--yes")
    assert done.returncode == 0 and "\nFreed " in done.stdout, done.stderr
    assert done.stderr == f"{path} could not be compacted (database is locked); run gc again later.\n"
    assert not (copy.folder / "mlruns" / "checkpoints" / "none").exists()


@pytest.mark.parametrize("command", [("delete", "small", "--yes"), ("rename", "small", "big")], ids=["delete", "rename"])
def test_a_wait_for_another_stores_search_is_said_at_once(copy: Shell, command: tuple[str, ...]) -> None:
    mlflow, other = client(copy.folder), copy.folder / "other"
    number = runs(copy.folder)[0][0].info.experiment_id
    mlflow.set_experiment_tag(number, TAG, json.dumps({"token": "t", "pid": 7, "host": "far", "store": "/far/mlruns"}))
    shutil.copytree(copy.folder / "mlruns", other)
    shared = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{copy.folder / 'mlruns' / 'mlflow.db'}"}
    words = [str(TAILOR), *command, "--store", str(other)]
    with subprocess.Popen(words, cwd=copy.folder, env=shared, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        line = next((line for line in running.stderr if "7 on far" in line), "")
        working = running.poll() is None
        running.send_signal(signal.SIGINT)
    assert working and line.endswith("waiting 45 s for a sign of life\n")
    assert len(runs(copy.folder)[1]) == 4


def test_a_study_is_not_renamed_without_the_database_of_its_trials(copy: Shell, own: OwnProcess) -> None:
    root, elsewhere = copy.folder / "mlruns", copy.folder / "elsewhere.db"
    (root / "studies.db").rename(elsewhere)
    refused = copy("rename", "small", "big")
    assert refused.returncode == 2 and "Give the --studies or TAILOR_STUDIES that it ran with; if" in refused.stderr
    assert runs(copy.folder)[0][0].data.tags["tailor.study"] == "small"
    done = own("rename", "small", "big", "--studies", f"sqlite:///{elsewhere}")
    assert done.returncode == 0, done.stderr
    assert optuna.get_all_study_names(f"sqlite:///{elsewhere}") == ["big"]


def test_a_deletion_says_that_the_engines_state_is_in_another_database(copy: Shell) -> None:
    here, there = copy.folder / "mlruns" / "studies.db", copy.folder / "elsewhere.db"
    here.rename(there)
    for given, said in (((), True), (("--studies", f"sqlite:///{there}"), False)):
        done = copy("delete", "small", *given)
        assert ("The studies' database of this store does not know small." in done.stdout) == said
    assert copy("delete", "small", "--yes", "--studies", f"sqlite:///{there}").returncode == 0
    assert optuna.get_all_study_names(f"sqlite:///{there}") == []
