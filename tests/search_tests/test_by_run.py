"""A space defined by running: what the function suggests and returns, an ask that was cut short, and what cannot go with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import optuna
import pytest
from engines import ask, complete

from tailor.search import references
from tailor.search.engines import open_engine
from tailor.search.engines.protocol import Engine
from tailor.search.errors import StudyError
from tailor.search.space.function import FunctionSpace
from tailor.search.space.parameters import Choice, Float, Int
from tailor.search.space.rules import largest, smallest
from tailor.search.study.goal import Objective
from tailor.search.study.load import build
from tailor.search.study.spec import Component, SearchPlan, StudySpec

SUGGEST = """
from __future__ import annotations
import dataclasses

@dataclasses.dataclass
class Reach:
    most: int = 3

def suggest(trial):
    depth = trial.suggest_int("depth", 1, Reach().most)
    values = {"depth": depth, "learning_rate": trial.suggest_float("rate", 1e-4, 1e-1, log=True)}
    for layer in range(1, depth + 1):
        values[f"units_{layer}"] = 2 ** trial.suggest_int(f"power_{layer}", 3, 6)
    if values["learning_rate"] > 1e-2:
        values["optimizer"] = trial.suggest_categorical("kind", ["sgd", "rmsprop"])
    return values

def broken(trial):
    trial.suggest_int("depth", 1, 3)
    return {"depth": [1]}

def raising(trial):
    return 1 / 0

def seldom(trial):
    if trial.number == 1:
        raise RuntimeError("not this one")
    return {"depth": trial.suggest_int("depth", 1, 3)}

def wide(trial):
    return {"salt": trial.suggest_int("salt", 0, 1_000_000, step=5), "seed": trial.suggest_int("seed", 0, 10**9)}

def changing(trial):
    depth = trial.suggest_int("depth", 1, 3)
    return {"depth": depth, "units": trial.suggest_categorical("units", [8, 16, 32][:depth])}
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "mine.py").write_text(SUGGEST)
    (tmp_path / "ends.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    return "mine.py:suggest"


def opened(own: str, sampler: str = "tpe", database: str = "studies.db") -> Engine:
    search = SearchPlan(sampler=Component(sampler), trials=30)
    spec = StudySpec("by-run", "digits", "mlp", Objective("val_accuracy", "maximize"), search, by_run=own)
    return open_engine(spec, f"sqlite:///{database}", Path("keras_tuner"))


def test_the_trial_has_what_is_returned_and_optuna_what_was_suggested(own: str) -> None:
    first = opened(own)
    for _ in range(15):
        suggestion = ask(first)
        complete(first, suggestion, suggestion.hparams["learning_rate"])
        depth = suggestion.hparams["depth"]
        assert {f"units_{layer}" for layer in range(1, depth + 1)} == {n for n in suggestion.hparams if n.startswith("units_")}
    study = optuna.load_study(study_name="by-run", storage="sqlite:///studies.db")
    trial = study.trials[-1]
    assert set(trial.params) >= {"depth", "rate", "power_1"}
    again = opened(own)
    assert dict(again.records()[-1].hparams) == dict(suggestion.hparams)
    assert trial.params["power_1"] == {8: 3, 16: 4, 32: 5, 64: 6}[suggestion.hparams["units_1"]]


WANDERS = """
import os

os.chdir("/")

def suggest(trial):
    os.chdir("/")
    return {"depth": 1}
"""


def test_a_space_that_changes_the_current_folder_changes_no_other_path(own: str) -> None:
    here = Path.cwd()
    Path("wanders.py").write_text(WANDERS)
    assert FunctionSpace("wanders.py:suggest").pick(smallest) == {"depth": 1}
    assert Path.cwd() == here


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_an_ask_that_was_cut_short_is_completed_the_same_way_each_time(
    own: str, sampler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(own, sampler)
    complete(first, ask(first))

    def killed(space: FunctionSpace, trial: optuna.Trial) -> dict:
        trial.suggest_int("depth", 1, 3)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(FunctionSpace, "draw", killed)
        first.ask()
    shutil.copy("studies.db", "again.db")
    (left,) = opened(own, sampler).unfinished()
    drawn = optuna.load_study(study_name="by-run", storage="sqlite:///studies.db").trials[1]
    assert (left.trial, left.hparams["depth"]) == (1, drawn.params["depth"])
    assert f"units_{left.hparams['depth']}" in left.hparams
    for database in ("studies.db", "again.db"):  # as it was noted, and drawn once more
        assert [dict(one.hparams) for one in opened(own, sampler, database).unfinished()] == [dict(left.hparams)]


def test_it_is_looked_over_at_its_ends_and_at_random_the_same_each_time(own: str) -> None:
    assert FunctionSpace(own).pick(smallest) == {"depth": 1, "learning_rate": 1e-4, "units_1": 8}
    assert FunctionSpace(own).pick(largest)["units_3"] == 64
    over = list(FunctionSpace(own).samples())
    assert {values["depth"] for values in over} == {1, 2, 3}
    assert {values.get("optimizer") for values in over} == {None, "sgd", "rmsprop"}
    assert over == list(FunctionSpace(own).samples())


def test_it_may_suggest_from_ranges_too_wide_to_list(own: str) -> None:
    over = list(FunctionSpace("mine.py:wide").samples())
    assert over[:2] == [{"salt": 0, "seed": 0}, {"salt": 1_000_000, "seed": 10**9}]
    assert len({values["salt"] for values in over}) > 20


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (
            "mine.py:broken",
            "expected 'mine.py:broken' to return a dict of finite numbers, texts and true/false by name, got {'depth': [1]}",
        ),
        ("mine.py:raising", "'mine.py:raising' failed in line 23: ZeroDivisionError"),
        ("mine.py:sugest", "'mine.py' has no 'sugest'; it has: "),
        ("nowhere.py:suggest", "there is no file 'nowhere.py'; correct its path"),
        ("ends.py:suggest", "'ends.py:suggest' cannot be imported (SystemExit: 3)"),
        ("mine", "expected 'pkg.mod:name' or 'path/to/file.py:name', got 'mine'"),
    ],
)
def test_a_function_that_is_wrong_is_answered_in_one_line(own: str, reference: str, says: str) -> None:
    with pytest.raises(StudyError) as error:
        FunctionSpace(reference).pick(smallest)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


TABLES = {"study": {"name": "by-run", "dataset": "digits", "model": "mlp", "space": "mine.py:suggest"}}


def test_a_trial_for_which_it_fails_has_ended_and_the_study_goes_on(own: str) -> None:
    first = opened("mine.py:seldom")
    complete(first, ask(first), 0.5)
    with pytest.raises(StudyError, match="failed in line 27: RuntimeError: not this one"):
        first.ask()
    again = opened("mine.py:seldom")
    assert again.unfinished() == []
    assert [(r.trial, r.outcome.status) for r in again.records()] == [(0, "complete"), (1, "failed")]
    assert "not this one" in again.records()[1].outcome.reason
    assert ask(again).trial == 2


def test_choices_that_change_from_trial_to_trial_are_told_before_the_search(own: str) -> None:
    with pytest.raises(StudyError, match="dynamic value space"):
        list(FunctionSpace("mine.py:changing").samples())


def test_a_search_keeps_to_the_function_that_it_began_with(own: str) -> None:
    digest = references.digest("study.space", own)
    Path("mine.py").write_text("half a line of the next idea")
    assert "depth" in FunctionSpace(own, digest).draw(optuna.create_study().ask())


def test_it_is_part_of_what_a_study_is(own: str) -> None:
    spec = build(TABLES)
    assert spec.by_run == own
    assert build(spec.tables()) == spec
    before = references.digest("study.space", own)
    Path("mine.py").write_text(SUGGEST + "\n")
    assert references.digest("study.space", own) != before
    recorded = build({**TABLES, "found": {"space_sha256": before}})
    assert recorded.identity() != spec.identity()
    assert build(recorded.tables()) == recorded


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"space": {"depth": [1, 2]}}, "study.space: the function is the space; leave [space] out"),
        ({"search": {"engine": "keras-tuner"}}, "study.space: keras-tuner takes declared spaces only; use engine optuna"),
        ({"search": {"sampler": "grid"}}, "search.sampler: grid needs a declared [space]"),
        ({"search": {"sampler": "brute-force"}}, "search.sampler: brute-force needs a declared [space]"),
        ({"enqueue": [{"depth": 2}]}, "enqueue: points are of a declared [space]"),
        ({"study": {**TABLES["study"], "api": "keras-tuner"}}, "study.space: with api keras-tuner the model declares"),
    ],
)
def test_what_cannot_go_with_it_is_refused_when_the_file_is_read(changes: dict, says: str) -> None:
    with pytest.raises(StudyError) as error:
        build({**TABLES, **changes})
    assert says in str(error.value)


def test_what_varied_among_trials_stands_for_the_space_in_plots() -> None:
    trials = [
        {"depth": "1", "rate": "0.001", "kind": "adam", "units": "32"},
        {"depth": "3", "rate": "0.5", "kind": "sgd", "units": "32"},
        {"depth": "2", "rate": "1e-05", "kind": "sgd", "units": "32", "units_2": "8"},
    ]
    assert FunctionSpace("mine.py:suggest").show(trials).parameters == (
        Int("depth", 1, 3),
        Float("rate", 1e-5, 0.5, log=True),
        Choice("kind", ("adam", "sgd")),
    )


@pytest.mark.parametrize("texts", [("64_32", "128_64"), ("1e3", "1000.0"), ("nan", "0.5")])
def test_texts_that_only_resemble_numbers_stay_texts_in_plots(texts: tuple[str, ...]) -> None:
    assert FunctionSpace("mine.py:suggest").show([{"units": text} for text in texts]).parameters == (Choice("units", texts),)
