"""Settings over a spec: what nobody chose gives way to them, and what somebody chose stays."""

from __future__ import annotations

from typing import Any

import pytest

from tailor.search.errors import StudyError
from tailor.search.study.load import build
from tailor.search.study.settings import overlay
from tailor.search.study.spec import Component, StudySpec

TWO = [{"metric": "val_accuracy", "direction": "maximize"}, {"metric": "parameters", "direction": "minimize"}]


def spec(study: dict[str, Any] | None = None, **search: Any) -> StudySpec:
    tables = {"study": {"name": "s", "dataset": "digits", "model": "mlp", **(study or {})}, "search": search}
    return build({**tables, "space": {"depth": {"low": 1, "high": 4}}})


@pytest.mark.parametrize(
    ("settings", "sampler", "pruner"),
    [
        ({}, "tpe", "successive-halving"),
        ({"search.engine": "keras-tuner"}, "bayesian", "none"),
        ({"search.sampler": "grid"}, "grid", "none"),
        ({"search.sampler": "random"}, "random", "successive-halving"),
        ({"search.pruner": "median"}, "tpe", "median"),
        ({"study.objectives": TWO}, "tpe", "none"),
        ({"study.constraints": ["parameters <= 9"]}, "tpe", "none"),
    ],
)
def test_a_sampler_and_a_pruner_that_nobody_chose_give_way(settings: dict[str, Any], sampler: str, pruner: str) -> None:
    search = overlay(spec(), settings).search
    assert (search.sampler.name, search.pruner.name) == (sampler, pruner)


def test_what_somebody_chose_stays() -> None:
    chosen = spec(sampler={"name": "tpe", "n_startup_trials": 3}, pruner="median")
    search = overlay(chosen, {"search.trials": 3}).search
    assert (search.sampler, search.pruner) == (Component("tpe", {"n_startup_trials": 3}), Component("median"))
    with pytest.raises(StudyError, match="keras-tuner has no pruner 'median'"):
        overlay(spec(pruner="median"), {"search.engine": "keras-tuner"})
    with pytest.raises(StudyError, match="keras-tuner has no sampler 'gp'"):
        overlay(spec(sampler="gp"), {"search.engine": "keras-tuner"})


def test_the_first_look_follows_a_longer_trial_unless_somebody_chose_it() -> None:
    longer = {"search.max_epochs": 50}
    assert overlay(spec(max_epochs=20), longer).search.pruner == Component("successive-halving", {"min_resource": 5})
    chosen = spec(max_epochs=20, pruner="successive-halving")
    assert overlay(chosen, longer).search.pruner == Component("successive-halving")


def test_one_objective_and_several_take_each_others_place() -> None:
    one, several = spec(), spec({"objectives": TWO})
    assert overlay(one, {"study.objectives": TWO}).goal == several.goal
    assert overlay(several, {"study.objective": "val_accuracy", "study.direction": "maximize"}).goal == one.goal


def test_nothing_laid_over_changes_nothing() -> None:
    for same in (spec(), spec({"objectives": TWO}), spec(sampler="grid"), spec(engine="keras-tuner", sampler="hyperband")):
        assert overlay(same, {}) == same
