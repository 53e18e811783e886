"""The points that a study begins with: the model's and the training's defaults, or the middle, or another study's best."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import SMALL, Shell
from searches import client, runs

from tailor.experiments.planning.initial_points import add_defaults, find_best_points, fit_to_space
from tailor.experiments.tracking.reader import find_study
from tailor.models.factory import resolve
from tailor.search.space.parameters import Float
from tailor.search.space.space import Space
from tailor.search.study.goal import Objective
from tailor.search.study.load import build, load
from tailor.search.study.spec import Component, Found, SearchPlan, StudySpec

TABLES = {
    "study": {"name": "s", "dataset": "digits", "model": "mlp"},
    "space": {
        "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "batch_size": {"choices": [64, 128]},
        "depth": {"low": 1, "high": 4},
        "units_1": {"low": 16, "high": 256, "log": True},
        "units_2": {"low": 10, "high": 40, "step": 10, "when": "depth >= 2"},
        "units_3": {"low": 10, "high": 40, "step": 10, "when": "depth >= 3"},
        "dropout": {"low": 0.1, "high": 0.5},
        "optimizer": ["sgd", "adam"],
        "width": {"low": 3, "high": 8},
        "momentum": {"low": 0.5, "high": 0.99, "default": 0.8},
        "activation": {"choices": ["tanh", "relu"], "default": "tanh"},
        "epsilon": 0.5,
    },
}


def spec(**changes: object) -> StudySpec:
    return dataclasses.replace(build(TABLES), **changes)  # type: ignore[arg-type]


def test_each_parameter_begins_at_its_default_or_in_the_middle() -> None:
    (found,) = add_defaults(spec(), resolve("mlp").first).enqueue
    assert found == {
        "learning_rate": 1e-3,  # the training's default
        "batch_size": 64,  # 32 is not among the choices: the first
        "depth": 2,  # the model's default
        "units_1": 128,  # None there, which takes `units`
        "units_2": 20,  # which does not fit: the middle of the steps; units_3 does not exist at depth 2
        "dropout": pytest.approx(0.3),  # 0.0 is out of range
        "optimizer": "adam",
        "width": 6,  # known to nobody
        "momentum": 0.8,  # the study file's own word, before the training's 0.9
        "activation": "tanh",
    }


def test_a_factory_may_say_where_a_search_begins(tmp_path: Path) -> None:
    space = {"learning_rate": {"low": 1e-4, "high": 1e-2}, "batch_size": [32, 64], "width": {"low": 1, "high": 9}}
    tables = {**TABLES, "space": space, "training": {}}
    (found,) = add_defaults(build(tables), resolve("cnn").first).enqueue
    assert found == {"learning_rate": 2e-3, "batch_size": 64, "width": 5}
    (tmp_path / "mine.py").write_text("def build(h, s, n): ...\nbuild.defaults = {'width': 2}\nbuild.starts = {'width': 3}\n")
    (found,) = add_defaults(build(tables), resolve(f"{tmp_path}/mine.py:build").first).enqueue
    assert found == {"learning_rate": 1e-3, "batch_size": 32, "width": 3}


def test_a_default_is_the_choice_that_equals_it() -> None:
    """Optuna takes a fixed value as it comes, and a report finds the choice by its text."""
    tables = {**TABLES, "space": {"dropout": [0, 0.25]}}
    (found,) = add_defaults(build(tables), resolve("mlp").first).enqueue
    assert repr(found["dropout"]) == "0"


def test_what_is_fixed_counts_and_what_hp_declares_is_its_own() -> None:
    wide = dataclasses.replace(spec(), training={"units": 200})
    assert add_defaults(wide, resolve("mlp").first).enqueue[0]["units_1"] == 200
    declared = dataclasses.replace(spec(), found=Found(("learning_rate",)))
    assert add_defaults(declared, {}).enqueue[0]["learning_rate"] == pytest.approx(1e-3)  # the middle
    low = dataclasses.replace(
        spec(), space=Space((Float("learning_rate", 1e-5, 1e-2, log=True),)), found=Found(("learning_rate",))
    )
    assert add_defaults(low, {}).enqueue[0]["learning_rate"] == pytest.approx(10**-3.5)


def test_it_is_enqueued_where_nothing_else_is() -> None:
    plain = spec()
    assert [len(point) for point in add_defaults(plain, {}).enqueue] == [10]
    own = spec(enqueue=({"depth": 4},))
    for other in (
        own,
        spec(search=SearchPlan(defaults_first=False)),
        spec(search=SearchPlan(sampler=Component("grid"))),
        spec(search=SearchPlan(sampler=Component("optuna.samplers:GridSampler"))),
        StudySpec("s", "digits", "mlp", Objective("val_accuracy", "maximize"), space=Space()),
    ):
        assert add_defaults(other, {}) is other


def test_the_best_points_of_a_study_that_lie_in_the_space(recorded: Shell, write_study: Callable[..., Path]) -> None:
    spec = load(write_study(("low = 1, high = 2", "low = 2, high = 3")))
    _, trials = runs(recorded.folder)
    best = max(trials, key=lambda r: r.data.metrics["best_val_accuracy"])
    study = find_study(client(recorded.folder), "small")
    assert study is not None
    points = find_best_points(study, spec.space)
    assert points[0]["learning_rate"] == float(best.data.params["learning_rate"])
    assert all(point.get("depth", 2) == 2 for point in points)  # depth 1 is outside, and left to the sampler
    assert fit_to_space({"depth": 1, "units_2": 16, "other": 3}, spec.space) == {"units_2": 16}


def test_a_study_begins_with_another_ones_best(copy: Shell) -> None:
    (copy.folder / "next.toml").write_text(SMALL.replace('"small"', '"next"').replace("trials = 4", "trials = 1"))
    done = copy("search", "next.toml", "--workers", "1", "--enqueue-from", "small")
    assert done.returncode == 0, done.stderr
    best = max(runs(copy.folder)[1], key=lambda r: r.data.metrics["best_val_accuracy"])
    assert runs(copy.folder, "next")[1][0].data.params["learning_rate"] == best.data.params["learning_rate"]
    wrong = copy("search", "next.toml", "--enqueue-from", "nothing", "--name", "third")
    assert wrong.returncode == 2 and "--enqueue-from: there is no study 'nothing'" in wrong.stderr
