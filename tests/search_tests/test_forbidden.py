"""Combinations that a space defined by running forbids, as Optuna's users do: by raising TrialPruned."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from engines import ask, complete

from tailor.search.engines import open_engine
from tailor.search.engines import optuna as engine
from tailor.search.engines.protocol import Done, Engine, Suggestion
from tailor.search.errors import StudyError
from tailor.search.space.function import FunctionSpace
from tailor.search.study.goal import Objective
from tailor.search.study.spec import Component, SearchPlan, StudySpec

SUGGEST = """
import optuna

def odd(trial):
    depth = trial.suggest_int("depth", 1, 4)
    if depth % 2 == 0:
        raise optuna.TrialPruned()
    return {"depth": depth, "units": trial.suggest_int("units", 8, 64)}

def middling(trial):
    depth = trial.suggest_int("depth", 1, 4)
    if depth in (1, 4):
        raise optuna.TrialPruned()
    return {"depth": depth}

def never(trial):
    trial.suggest_int("depth", 1, 4)
    raise optuna.TrialPruned()

def late(trial):
    if trial.number > 1:
        raise optuna.TrialPruned()
    return {"depth": trial.suggest_int("depth", 1, 4)}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(SUGGEST)
    monkeypatch.chdir(tmp_path)


def opened(function: str, trials: int = 12) -> Engine:
    search = SearchPlan(sampler=Component("random"), trials=trials)
    spec = StudySpec("by-run", "digits", "mlp", Objective("val_accuracy", "maximize"), search, by_run=f"mine.py:{function}")
    return open_engine(spec, "sqlite:///studies.db", Path("keras_tuner"))


def in_optuna() -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="by-run", storage="sqlite:///studies.db").trials


def test_what_is_forbidden_is_no_trial_and_another_is_drawn_in_its_place() -> None:
    first, given = opened("odd"), []
    while isinstance(suggestion := first.ask(), Suggestion):
        given.append(suggestion)
        complete(first, suggestion)
    assert len(given) == 12 and {suggestion.hparams["depth"] for suggestion in given} == {1, 3}
    drawn = in_optuna()
    assert {trial.number for trial in drawn if trial.params["depth"] % 2} == {suggestion.trial for suggestion in given}
    assert {trial.state for trial in drawn if trial.params["depth"] % 2 == 0} == {optuna.trial.TrialState.PRUNED}
    again = opened("odd", trials=13)
    assert [record.trial for record in again.records()] == [suggestion.trial for suggestion in given]
    assert ask(again).hparams["depth"] % 2
    assert again.ask() == Done("13 of 13 trials")


def test_an_ask_that_was_cut_short_over_it_leaves_no_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(space: FunctionSpace, trial: optuna.Trial) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(FunctionSpace, "draw", killed)
        opened("never").ask()
    again = opened("never")
    assert (again.unfinished(), again.records()) == ([], [])
    assert [trial.state for trial in in_optuna()] == [optuna.trial.TrialState.PRUNED]


def test_a_function_that_forbids_all_that_is_drawn_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StudyError, match=r"study\.space: 'mine\.py:never' raised TrialPruned for 34 draws in a row"):
        list(FunctionSpace("mine.py:never").samples())
    monkeypatch.setattr(engine, "IN_A_ROW", 3)
    first = opened("late")
    for _ in range(2):
        complete(first, ask(first))
    with pytest.raises(StudyError, match="raised TrialPruned for 3 draws in a row; let it forbid less"):
        first.ask()
    assert len(first.records()) == 2


def test_a_look_beforehand_is_at_what_it_allows() -> None:
    assert {values["depth"] for values in FunctionSpace("mine.py:middling").samples()} == {2, 3}
    assert {values["depth"] for values in FunctionSpace("mine.py:middling").ends()} <= {2, 3}
    assert FunctionSpace("mine.py:odd").ends()[0]["depth"] == 1
