"""Promotions that meet no champion, and those that are refused before anything is trained or judged."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from conftest import Shell
from mlflow import MlflowClient
from searches import client, runs
from shells import OwnProcess

import tailor as public
from tailor.experiments.datasets.splits import Splits
from tailor.experiments.promotion import trainings
from tailor.experiments.promotion.candidates import Candidate
from tailor.experiments.promotion.choice import _add_costs, _keep_constraints
from tailor.experiments.promotion.records import Work
from tailor.experiments.promotion.refit import check_refits
from tailor.experiments.tracking.kinds import CANDIDATE
from tailor.search.study.goal import Constraint, Goal, Objective


def test_a_model_that_meets_no_champion_is_not_called_the_first(copy: Shell) -> None:
    """It may be worse than what was champion until a person took the alias away, or deleted the version."""
    mlflow = client(copy.folder)
    first = copy("promote", "small:1", "--to", "bare", "--quick")
    assert "bare version 1 is champion: it is the first model of that name." in first.stdout
    mlflow.delete_model_version("bare", "1")
    second = copy("promote", "small:1", "--to", "bare", "--quick")
    assert "bare version 2 is champion: no version of that name is champion, so it was compared with none." in second.stdout
    (row,) = [line for line in copy("models").stdout.splitlines() if line.startswith("bare ")]
    assert "2 of 2" in row


def promote_half(mlflow: MlflowClient, shell: Shell, *options: str) -> None:
    """What a promotion leaves that dies once its model is registered, before the alias moves."""
    assert shell("promote", "small:1", "--to", "half", "--quick", *options).returncode == 0
    mlflow.delete_registered_model_alias("half", "champion")
    mlflow.delete_registered_model_tag("half", "tailor.move.00001")
    mlflow.set_model_version_tag("half", "1", "tailor.alias", "pending")


def test_a_version_that_a_person_made_champion_is_not_judged_again(copy: Shell) -> None:
    mlflow = client(copy.folder)
    promote_half(mlflow, copy)
    mlflow.set_registered_model_alias("half", "champion", "1")
    done = copy("promote", "small:1", "--to", "half", "--quick")
    assert done.returncode == 0 and "half version 1 is champion: this model is registered already." in done.stdout
    (version,) = mlflow.search_model_versions("name = 'half'")
    assert version.tags["tailor.alias"] == "champion"
    assert str(mlflow.get_model_version_by_alias("half", "champion").version) == "1"


def test_a_promotion_that_died_is_finished_by_the_gates_it_was_judged_by_alone(copy: Shell) -> None:
    mlflow = client(copy.folder)
    promote_half(mlflow, copy, "--model-bytes", "10_000_000")
    done = copy("promote", "small:1", "--to", "half", "--quick", "--model-bytes", "10_000_000")
    assert done.returncode == 0 and "half version 1 is champion: it is the first model of that name." in done.stdout
    assert mlflow.get_registered_model("half").tags["tailor.test_openings"] == "1"
    mlflow.delete_registered_model("half")
    promote_half(mlflow, copy)
    done = copy("promote", "small:1", "--to", "half", "--quick", "--model-bytes", "1000")
    assert done.returncode == 4 and "Refused: promotion.model_bytes: it has " in done.stdout
    assert not mlflow.search_model_versions("name = 'half'")


def test_a_persons_own_alias_neither_ends_a_promotion_that_died_nor_is_lost(copy: Shell) -> None:
    mlflow = client(copy.folder)
    promote_half(mlflow, copy)
    mlflow.set_registered_model_alias("half", "prod", "1")
    done = copy("promote", "small:1", "--to", "half", "--quick", "--model-bytes", "1000")
    assert done.returncode == 4 and str(mlflow.get_model_version_by_alias("half", "prod").version) == "1"
    mlflow.set_model_version_tag("half", "1", "tailor.alias", "pending")
    done = copy("promote", "small:1", "--to", "half", "--quick")
    assert done.returncode == 0 and "half version 1 is champion: it is the first model of that name." in done.stdout


def test_a_name_that_is_another_tools_leaves_no_open_run(copy: Shell) -> None:
    mlflow = client(copy.folder)
    mlflow.create_registered_model("foreign")
    mlflow.create_model_version("foreign", copy.folder.as_uri())
    mlflow.set_registered_model_alias("foreign", "champion", "1")
    mlflow.create_prompt("words")
    for name, said in (("foreign", "was not promoted by Tailor"), ("words", "--to: 'words' is the name of a prompt in MLflow's")):
        done = copy("promote", "small", "--to", name, "--quick")
        assert done.returncode == 2 and said in done.stderr, done.stdout + done.stderr
    number = runs(copy.folder)[0][0].info.experiment_id
    assert not mlflow.search_runs([number], "attributes.status = 'RUNNING'")
    before = len(mlflow.search_runs([number]))
    done = copy("compress", "digits", "--to", "words", "--prune", "0.5", "--epochs", "1")
    assert done.returncode == 2 and "is the name of a prompt" in done.stderr
    assert len(mlflow.search_runs([number])) == before  # nothing was compressed for it


def test_what_would_change_nothing_is_refused(copy: Shell) -> None:
    quick = copy("promote", "small", "--to", "none", "--quick", "--seeds", "7", "--register", "refit")
    said = "quick: it takes the search's own model and trains nothing, so seeds and register would change nothing"
    assert quick.returncode == 2 and said in quick.stderr
    with pytest.raises(public.InputError, match="so candidates would change nothing"):
        public.promote("small", to="none", quick=True, settings={"candidates": 2}, store=copy.folder / "mlruns")
    one = copy("ensemble", "small:1", "--to", "none")
    assert one.returncode == 2 and "an ensemble is of a study's models, not of one trial; leave the :1 out." in one.stderr


def test_rates_that_follow_validation_are_not_refitted() -> None:
    check_refits([Candidate(1, {"schedule": "cosine"}, 5)])
    with pytest.raises(public.InputError, match="--register refit: trial 2 trains by schedule 'plateau'"):
        check_refits([Candidate(1, {}, 5), Candidate(2, {"schedule": "plateau"}, 5)])


def test_an_unknown_or_unfinished_trial_is_named(copy: Shell) -> None:
    done = copy("promote", "small:77", "--to", "none", "--quick")
    assert done.returncode == 2 and "has no complete trial 77; complete are, best first: " in done.stderr


def test_a_promotion_says_that_the_search_is_not_finished(own: OwnProcess) -> None:
    ask = ("promote", "small", "--to", "none", "--quick", "--dry-run")
    said = "note: the search of study 'small' is not finished; its trials so far count\n"
    (parent,), _ = runs(own.folder)
    finished = own(*ask)
    client(own.folder).update_run(parent.info.run_id, status="KILLED")
    stopped, named = own(*ask), own("promote", "small:1", *ask[2:])
    assert [done.returncode for done in (finished, stopped, named)] == [0, 0, 0], stopped.stderr + named.stderr
    assert said in stopped.stdout and "note:" not in finished.stdout + named.stdout


def test_a_promotion_that_waits_for_another_ones_trainings_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "small+candidates.lock").open("w") as held:  # as another process holds it
        fcntl.flock(held, fcntl.LOCK_EX)
        said: list[str] = []

        def hear(line: str) -> None:
            said.append(line)
            fcntl.flock(held, fcntl.LOCK_UN)

        monkeypatch.setattr(trainings, "_train_left", lambda *given: said.append("training"))
        places = SimpleNamespace(store=SimpleNamespace(locks=tmp_path))
        work = SimpleNamespace(spec=SimpleNamespace(name="small"), places=places, screen=SimpleNamespace(line=hear))
        for _ in range(2):  # the second time it is free
            trainings.train_left(cast("Work", work), {}, CANDIDATE, cast("Splits", None), "")
    assert said == ["waiting for the trainings of another promotion of 'small'", "training", "training"]


def test_a_study_without_a_trial_that_keeps_its_constraints_has_no_model_to_promote(
    tailor: Shell, write_study: Callable[..., Path]
) -> None:
    write_study(("direction =", 'constraints = ["parameters <= 3"]\ndirection ='), ('pruner = "median"', ""))
    assert tailor("search", "small.toml", "--trials", "2", "--max-epochs", "1", "--workers", "1").returncode == 0
    for command in (("promote",), ("promote", "--quick")):
        done = tailor(command[0], "small", "--to", "none", *command[1:])
        assert done.returncode == 1 and "that keeps its constraints yet" in done.stderr
    done = tailor("ensemble", "small", "--to", "none")
    said = "has 0 complete trials that keep its constraints, and keeps 0 models of such; an ensemble needs two"
    assert done.returncode == 2 and said in done.stderr


def test_a_model_of_several_keeps_the_studys_constraints_itself() -> None:
    goal = Goal((Objective("val_accuracy", "maximize"),), (Constraint("parameters", "<=", 100),))
    costs = _add_costs([{"parameters": 60.0, "latency_ms": 1.0}, {"parameters": 50.0}])
    assert costs == {"parameters": 110.0, "latency_ms": 1.0, "model_bytes": 0.0}
    said = r"^the average breaks the study's constraint parameters <= 100; take one\.$"
    with pytest.raises(public.RunError, match=said):
        _keep_constraints(goal, costs, "the average", "take one")
    _keep_constraints(goal, _add_costs([{"parameters": 60.0}]), "the average", "take one")
