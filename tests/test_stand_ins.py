"""What ways of searching are judged on in benchmarks/: the public functions have their known optima, and a play its clock."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))

from play import FIXED, OneEpochEach, optuna_engine, play, spec_of
from stand_ins import EPOCHS, FUNCTIONS, Curve, StandIn, place

from tailor.search.space.conditions import Condition
from tailor.search.space.parameters import Choice, Float, Int
from tailor.search.space.space import Space
from tailor.search.study.load import build
from tailor.search.study.spec import Component, SearchPlan


@pytest.mark.parametrize(
    ("name", "where", "optimum"),
    [
        ("currin-2", (0.21667, 0.0), 13.79872),
        ("branin-2", (0.961652, 0.165), -0.397887),
        ("hartmann-3", (0.114614, 0.555649, 0.852547), 3.86278),
        ("hartmann-6", (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573), 3.32237),
    ],
)
def test_a_function_has_its_known_optimum(name: str, where: tuple[float, ...], optimum: float) -> None:
    dimensions, value = FUNCTIONS[name]
    assert len(where) == dimensions
    assert value(where, 1.0) == pytest.approx(optimum, abs=1e-4)


def test_points_lie_in_the_unit_cube_by_their_own_scale() -> None:
    space = Space((
        Float("rate", 1e-4, 1e-2, log=True),
        Choice("norm", (True, False)),
        Int("depth", 1, 3),
        Int("units", 10, 20, when=(Condition("depth", ">=", 3),)),
    ))  # fmt: skip
    assert place(space, {"rate": 1e-3, "norm": True, "depth": 1}) == pytest.approx([0.5, 0.5, 0.0, 0.0, 0.5])
    assert place(space, {"rate": 1e-2, "norm": False, "depth": 3, "units": 20}) == pytest.approx([1.0, 0.0, 0.5, 1.0, 1.0])


def test_on_the_stand_ins_the_default_is_what_it_was_measured_as() -> None:
    """A trial of theirs has twelve epochs, of which a tenth is the first."""
    tables = {"study": {"name": "s", "dataset": "digits", "model": "mlp"}, "search": {"max_epochs": EPOCHS}}
    ours = build({**tables, "space": {"x": {"low": 0.0, "high": 1.0}}}).search.pruner
    assert ours == Component("successive-halving", {"min_resource": 1})


def rising(seconds: float = 1.0) -> StandIn:
    """Ten epochs to the value of x."""
    return StandIn(
        "rising", Space((Float("x", 0.0, 1.0),)), 10, lambda h: Curve([h["x"] * e / 10 for e in range(1, 11)], seconds), (0, 0)
    )  # type: ignore[operator]


def test_two_workers_share_the_time() -> None:
    problem = rising()
    spec = spec_of(problem, SearchPlan(sampler=Component("random"), trials=100, max_epochs=10))
    course = play(optuna_engine(spec), problem, 5 * (10 + FIXED) + 0.5)
    assert course.trials == 12  # five rounds of two, and the two that are cut off
    assert course.best[0][0] == pytest.approx(1 + FIXED)
    assert course.when(course.best[-1][1]) == course.best[-1][0] and course.at(0.5) == float("-inf")


def test_one_epoch_each_and_the_best_go_on_from_there() -> None:
    problem = rising()
    course = play(OneEpochEach(problem, seed=0, count=8, keep=2), problem, 4 * (1 + FIXED) + 9 + FIXED + 0.1)
    first = OneEpochEach(problem, seed=0, count=8, keep=2)._fresh()
    best = max(suggestion.hparams["x"] for suggestion in first)
    assert course.best[-1] == (pytest.approx(4 * (1 + FIXED) + 9 + FIXED), pytest.approx(best))
