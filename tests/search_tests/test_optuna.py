"""What the engine over Optuna does beyond the contract: pruners, objectives and constraints, any class, thousands of trials."""

from __future__ import annotations

import math
import statistics
from pathlib import Path

import optuna
import pytest
from engines import GRID, SPACE, Open, ask, complete, opener

from tailor.search.engines import bounded, open_engine
from tailor.search.engines.protocol import Done, Outcome, Suggestion
from tailor.search.engines.samplers import make_pruner, make_sampler
from tailor.search.errors import StudyError
from tailor.search.space.parameters import Fixed
from tailor.search.space.points import list_points
from tailor.search.space.space import Space
from tailor.search.study.goal import Constraint, Objective
from tailor.search.study.load import build
from tailor.search.study.offers import PRUNERS
from tailor.search.study.spec import Component, SearchPlan, StudySpec


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    return opener(tmp_path, "optuna")


CONSTRAINED = Constraint("parameters", "<=", 1234567.0)


def test_several_objectives_with_a_constraint_survive_a_restart(tmp_path: Path) -> None:
    spec = StudySpec(
        "contract", "digits", "mlp", Objective("val_accuracy", "maximize"), SearchPlan(trials=9), SPACE,
        others=(Objective("latency_ms", "minimize"),), constraints=(CONSTRAINED,),
    )  # fmt: skip
    url, folder = f"sqlite:///{tmp_path / 'studies.db'}", tmp_path
    values = {"val_accuracy": 0.9, "latency_ms": 2.0, "parameters": 1234568.0}
    first = open_engine(spec, url, folder)
    first.tell(ask(first).trial, Outcome("complete", values))
    again = open_engine(spec, url, folder)
    assert again.records()[0].outcome.values == values
    assert not spec.goal.feasible(values)
    assert Constraint.parse(str(CONSTRAINED)) == CONSTRAINED
    again.tell(ask(again).trial, Outcome("complete", {**values, "parameters": 5.0}))
    assert len(again.records()) == 2


def test_an_empty_space_repeats_its_configuration(opened: Open) -> None:
    engine = opened("tpe", space=Space((Fixed("units", 4),)), trials=3)
    given = []
    while isinstance(suggestion := engine.ask(), Suggestion):
        given.append(dict(suggestion.hparams))
        complete(engine, suggestion)
    assert given == [{"units": 4}] * 3


@pytest.mark.parametrize("pruner", ["median", "hyperband", "percentile", "successive-halving"])
def test_a_hopeless_trial_is_pruned_and_a_good_one_is_not(opened: Open, pruner: str) -> None:
    engine = opened("random", pruner, trials=40, max_epochs=9)
    verdicts = {"good": [], "bad": []}
    for i in range(40):
        kind = "bad" if i % 4 == 3 else "good"
        suggestion = ask(engine)
        level = 0.9 + 0.001 * i if kind == "good" else 0.1
        stopped = any(engine.report(suggestion.trial, e, {"val_accuracy": level + 0.001 * e}) for e in range(1, 10))
        verdicts[kind].append(stopped)
        engine.tell(suggestion.trial, Outcome("pruned") if stopped else Outcome("complete", {"val_accuracy": level}))
    assert sum(verdicts["bad"]) >= 6
    assert sum(verdicts["good"]) <= 10


@pytest.mark.parametrize(("epochs", "pruned"), [(9, False), (10, True)])
def test_a_trial_that_reached_its_last_epoch_is_whole(opened: Open, epochs: int, pruned: bool) -> None:
    """Successive halving looks after 1, 3 and 9 epochs; after the ninth of nine there is nothing left to save."""
    engine = opened("random", "successive-halving", trials=8, max_epochs=epochs)
    for level in (0.9, 0.9, 0.9, 0.9, 0.9, 0.1):
        suggestion = ask(engine)
        assert not any(engine.report(suggestion.trial, epoch, {"val_accuracy": 0.9}) for epoch in (1, 3))
        assert engine.report(suggestion.trial, 9, {"val_accuracy": level}) == (pruned and level == 0.1)
        engine.tell(suggestion.trial, Outcome("complete", {"val_accuracy": level}))


def test_the_default_prunes_nothing_before_its_first_look_and_does_there(tmp_path: Path) -> None:
    tables = {"study": {"name": "s", "dataset": "digits", "model": "mlp"}, "search": {"max_epochs": 50, "trials": 9}}
    spec = build({**tables, "space": {"depth": {"low": 1, "high": 4}}})
    engine = open_engine(spec, f"sqlite:///{tmp_path / 'studies.db'}", tmp_path)
    for level in (0.9, 0.9, 0.9, 0.1):
        trial = ask(engine).trial
        said = [engine.report(trial, epoch, {"val_accuracy": level}) for epoch in range(1, 6)]
        assert said == [False, False, False, False, level == 0.1]
        engine.tell(trial, Outcome("pruned") if said[-1] else Outcome("complete", {"val_accuracy": level}))


def test_what_the_pruner_said_outlives_the_attempt_that_died_of_it(opened: Open) -> None:
    """It would say otherwise at the next epoch: halving looks at a rung once."""
    engine = opened("random", "successive-halving", trials=8, max_epochs=9)
    for _ in range(4):
        complete_at = ask(engine)
        engine.report(complete_at.trial, 1, {"val_accuracy": 0.9})
        engine.tell(complete_at.trial, Outcome("complete", {"val_accuracy": 0.9}))
    bad = ask(engine)
    assert engine.report(bad.trial, 1, {"val_accuracy": 0.1})
    again = opened("random", "successive-halving", trials=8, max_epochs=9)
    assert [s.trial for s in again.unfinished()] == [bad.trial]
    assert again.report(bad.trial, 2, {"val_accuracy": 0.2})


def test_a_pruner_that_comes_later_compares_the_values_of_one_epoch(opened: Open) -> None:
    """Trial 0 rises in eight epochs without a pruner, and resumes under one: later trials are as good at each epoch."""
    values = {epoch: {"val_accuracy": epoch / 10} for epoch in range(1, 10)}
    engine = opened("random", "none", trials=9, max_epochs=9)
    first = ask(engine).trial
    assert not any(engine.report(first, epoch, values[epoch]) for epoch in range(1, 9))
    engine = opened("random", "successive-halving", trials=9, max_epochs=9)
    for epoch in range(1, 9):
        engine.replay(first, epoch, values[epoch])
    assert not engine.report(first, 9, values[9])
    for _ in range(4):
        later = ask(engine).trial
        assert not any(engine.report(later, epoch, values[epoch]) for epoch in range(1, 10))
        engine.tell(later, Outcome("complete", values[9]))
    assert engine.report(ask(engine).trial, 1, {"val_accuracy": 0.0})


def test_of_thousands_of_trials_the_best_the_running_and_an_even_sample_are_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "BEST", 3)
    monkeypatch.setattr(bounded, "SAMPLED", 4)
    study = optuna.create_study(direction="minimize")
    for number in range(20):
        trial = study.ask()
        if number != 5:
            study.tell(trial, abs(number - 9))
    numbers = [trial.number for trial in bounded.choose(study.get_trials(), study.directions)]
    assert numbers == [0, 4, 5, 8, 9, 10, 12, 16]
    assert len(bounded.choose(study.get_trials()[:7], study.directions)) == 7


def test_the_best_that_are_learnt_from_keep_constraints_and_are_of_each_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "BEST", 4)
    monkeypatch.setattr(bounded, "SAMPLED", 0)
    study = optuna.create_study(directions=["maximize", "minimize"])
    for number in range(20):
        trial = study.ask()
        trial.set_constraint("size", number - 15)  # the trials after 15 break it, whatever else they are
        trial.set_constraint("latency", -1)
        study.tell(trial, [number, (number - 9) ** 2])
    assert [trial.number for trial in bounded.choose(study.get_trials(), study.directions)] == [8, 9, 14, 15]


@pytest.mark.slow
def test_tpe_homes_in_though_it_reads_only_some_trials(opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "BEST", 50)  # still so many that its good side has the 25 that it has at most
    monkeypatch.setattr(bounded, "SAMPLED", 200)

    def off(sampler: str) -> list[float]:
        """How far from the best the learning rates lie, in decades, trial by trial."""
        engine, found = opened(sampler, trials=420), []
        for _ in range(420):
            suggestion = ask(engine)
            found.append(abs(math.log10(suggestion.hparams["learning_rate"]) + 2))
            complete(engine, suggestion, -found[-1])
        (tmp_path / "studies.db").unlink()
        return found

    assert statistics.mean(off("tpe")[250:]) < 0.5 * statistics.mean(off("random"))


@pytest.mark.parametrize("pruner", PRUNERS["optuna"])
def test_every_pruner_can_be_had_by_its_name(pruner: str) -> None:
    arguments = {"threshold": {"lower": 0.1}, "patient": {"wrapped": "median"}}.get(pruner, {})
    made = make_pruner(SearchPlan(pruner=Component(pruner, arguments)))
    assert type(made).__name__.lower() == {"none": "nop"}.get(pruner, pruner.replace("-", "")) + "pruner"


@pytest.mark.parametrize("wrapped", ["medain", {"name": "median"}, 3])
def test_a_wrapped_pruner_that_is_none_is_named(wrapped: object) -> None:
    with pytest.raises(StudyError, match=r"search\.pruner\.wrapped: no such name"):
        make_pruner(SearchPlan(pruner=Component("patient", {"wrapped": wrapped})))


def test_a_sampler_of_anybodys_by_module_and_class() -> None:
    component = Component("optuna.samplers:TPESampler", {"n_startup_trials": 3})
    assert make_sampler(SearchPlan(sampler=component), 1)._n_startup_trials == 3
    with pytest.raises(StudyError, match="cannot be imported"):
        make_sampler(SearchPlan(sampler=Component("no.such:Class")), 1)
    with pytest.raises(StudyError, match=r"search\.sampler: tpe does not take {'startup': 3}"):
        make_sampler(SearchPlan(sampler=Component("tpe", {"startup": 3})), 1)
    with pytest.raises(
        StudyError, match=r"search\.sampler: expected a class that is an optuna BaseSampler; .* makes a MedianPruner"
    ):
        make_sampler(SearchPlan(sampler=Component("optuna.pruners:MedianPruner")), 1)
    with pytest.raises(StudyError, match=r"search\.pruner: expected a class that is an optuna BasePruner; .* makes a TPESampler"):
        make_pruner(SearchPlan(pruner=Component("optuna.samplers:TPESampler")))
    with pytest.raises(StudyError, match=r"search\.pruner: math:pi does not take {}"):
        make_pruner(SearchPlan(pruner=Component("math:pi")))


def test_a_sampler_that_stops_the_study_ends_it(opened: Open) -> None:
    """Optuna's own brute force does so, which Optuna allows in `optimize` alone."""
    given = []
    for _ in range(2):
        engine = opened("optuna.samplers:BruteForceSampler", space=GRID, trials=100)
        while isinstance(suggestion := engine.ask(), Suggestion):
            given.append(dict(suggestion.hparams))
            complete(engine, suggestion)
            if len(given) == 3:
                break
    assert engine.ask() == Done("optuna.samplers:BruteForceSampler has nothing more to propose", spent=True)
    assert isinstance(opened("optuna.samplers:BruteForceSampler", space=GRID, trials=100).ask(), Done)
    assert isinstance(opened("random", space=GRID, trials=100).ask(), Suggestion)  # another one goes on
    key = lambda point: sorted(point.items())  # noqa: E731
    assert sorted(given, key=key) == sorted(list_points(GRID), key=key)
