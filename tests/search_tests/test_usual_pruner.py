"""The pruner of a study: the usual one, where it looks first, and what a file says instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tailor.search.engines.samplers import make_pruner
from tailor.search.study.capabilities import explain_pruner, first_look
from tailor.search.study.load import build, load
from tailor.search.study.spec import Component

Write = Callable[..., Path]


@pytest.mark.parametrize(
    ("settings", "pruner"),
    [
        ([], "successive-halving"),
        (["search.sampler=tpe"], "successive-halving"),
        (["search.sampler=gp"], "none"),  # it learns from whole trials alone
        *(
            ([f"search.sampler=optuna.samplers:{name}Sampler"], pruner)  # the same by their classes
            for pruner, names in {
                "none": ("GP", "CmaEs", "NSGAII", "Grid", "BruteForce"),
                "successive-halving": ("TPE", "QMC", "Random"),
            }.items()
            for name in names
        ),
        (["search.sampler=grid", "space.learning_rate=0.01"], "none"),  # every point is wanted whole
        (["search.engine=keras-tuner"], "none"),  # it prunes nothing
        (["study.objective=latency_ms", "study.direction=minimize"], "none"),  # known at a trial's end only
        (["space.learning_rate=0.01", "space.depth=2", "space.units_2=16"], "none"),  # one point again and again
        (['study.constraints=["parameters <= 1000"]'], "none"),  # they are known at a trial's end only
    ],
)
def test_a_study_that_names_no_pruner_has_the_usual_one(write_study: Write, settings: list[str], pruner: str) -> None:
    arguments = {"min_resource": 1} if pruner == "successive-halving" else {}
    assert load(write_study(('pruner = "median"', "")), settings).search.pruner == Component(pruner, arguments)


@pytest.mark.parametrize(
    ("longest", "look"), [(1, 1), (5, 1), (9, 1), (10, 1), (12, 1), (19, 1), (20, 2), (49, 4), (50, 5), (100, 10), (1000, 100)]
)
def test_the_usual_pruner_looks_first_after_a_tenth_of_the_longest_trial(write_study: Write, longest: int, look: int) -> None:
    assert first_look(longest) == look
    spec = load(write_study(('pruner = "median"', "")), [f"search.max_epochs={longest}"])
    assert spec.search.pruner == Component("successive-halving", {"min_resource": look})
    assert build(spec.tables()) == spec


@pytest.mark.parametrize("pruner", ['"successive-halving"', '{ name = "successive-halving", min_resource = 3 }'])
def test_a_pruner_that_the_file_names_looks_where_it_says(write_study: Write, pruner: str) -> None:
    spec = load(write_study(('pruner = "median"', f"pruner = {pruner}")), ["search.max_epochs=100"])
    assert make_pruner(spec.search)._min_resource == (3 if "min" in pruner else 1)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ([], "pruner: successive halving, first look after epoch 2 of 20"),
        (["search.max_epochs=1"], "pruner: successive halving, which prunes nothing: the first look would be after epoch 1 of 1"),
        (["search.pruner=successive-halving"], "pruner: successive halving, first look after epoch 1 of 20"),
        (
            ["search.pruner={ name = 'successive-halving', min_resource = 2, min_early_stopping_rate = 1 }"],
            "pruner: successive halving, first look after epoch 6 of 20",
        ),
        (
            ["search.pruner={ name = 'successive-halving', min_resource = 'auto' }"],
            "pruner: successive halving, first look by the epochs of whole trials",
        ),
        (["search.pruner=median"], "pruner: median"),
        (["search.pruner=none"], ""),
        (["search.engine=keras-tuner"], ""),
    ],
)
def test_where_the_pruner_looks_is_a_line(write_study: Write, settings: list[str], line: str) -> None:
    path = write_study(('pruner = "median"', ""), ("max_epochs = 3", "max_epochs = 20"))
    assert explain_pruner(load(path, settings)) == line
