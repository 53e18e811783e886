"""Arguments of samplers and pruners that fail only in use are found before a search begins."""

from __future__ import annotations

from typing import Any

import pytest
from engines import SPACE

from tailor.search import engines
from tailor.search.errors import StudyError
from tailor.search.study.goal import Objective
from tailor.search.study.spec import Component, SearchPlan, StudySpec

RANDOM, NONE = Component("random"), Component("none")


def check(engine: str = "optuna", sampler: Component = RANDOM, pruner: Component = NONE) -> None:
    search = SearchPlan(engine=engine, sampler=sampler, pruner=pruner)
    engines.check(StudySpec("s", "digits", "mlp", Objective("val_accuracy", "maximize"), search, SPACE))


@pytest.mark.parametrize(
    ("engine", "name", "arguments"),
    [
        ("optuna", "tpe", {"n_startup_trials": "a"}),
        ("optuna", "tpe", {"n_ei_candidates": "a"}),  # from the eleventh trial on
        ("optuna", "cmaes", {"n_startup_trials": "a"}),
        ("keras-tuner", "bayesian", {"alpha": -1}),
        ("keras-tuner", "bayesian", {"num_initial_points": "a"}),
    ],
)
def test_a_samplers_argument_that_fails_in_use_is_refused(engine: str, name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match=rf"^search\.sampler: {name} fails with {{.*}} \(.*\); correct its arguments\.$"):
        check(engine, Component(name, arguments))


def test_an_argument_that_is_refused_at_once_has_one_full_stop() -> None:
    with pytest.raises(StudyError, match=r"percentile does not take {'percentile': 200}: .* got percentile=200\.$") as caught:
        check(pruner=Component("percentile", {"percentile": 200}))
    assert not str(caught.value).endswith("..")


def test_a_pruners_argument_that_fails_in_use_is_refused() -> None:
    with pytest.raises(StudyError, match=r"^search\.pruner: hyperband fails with {'reduction_factor': 1} \(ZeroDivisionError: "):
        check(pruner=Component("hyperband", {"reduction_factor": 1}))


@pytest.mark.parametrize(
    ("engine", "sampler", "pruner"),
    [
        ("optuna", Component("tpe", {"n_startup_trials": 4}), Component("median", {"n_warmup_steps": 2})),
        ("optuna", Component("nsgaii", {"population_size": 4}), Component("threshold", {"lower": 0.2})),
        ("optuna", Component("qmc", {"qmc_type": "halton"}), Component("patient", {"wrapped": "median"})),
        ("keras-tuner", Component("hyperband", {"factor": 2}), NONE),
    ],
)
def test_what_they_take_passes(engine: str, sampler: Component, pruner: Component) -> None:
    check(engine, sampler, pruner)
