"""The order that objectives and constraints put trials in."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from tailor.search.errors import StudyError
from tailor.search.study.goal import Constraint, Goal, Objective
from tailor.search.study.load import build

UP, SMALL = Objective("val_accuracy", "maximize"), Objective("parameters", "minimize")


def dominates(one: dict[str, float], other: dict[str, float]) -> bool:
    better = [one["val_accuracy"] >= other["val_accuracy"], one["parameters"] <= other["parameters"]]
    return all(better) and one != other


def test_the_fronts_are_those_of_brute_force() -> None:
    rng = random.Random(4)
    trials = {t: {"val_accuracy": rng.randint(0, 9) / 10, "parameters": float(rng.randint(1, 9))} for t in range(60)}
    fronts = Goal((UP, SMALL)).fronts(trials)
    left, front = dict(trials), 0
    while left:
        here = {t for t, v in left.items() if not any(dominates(other, v) for other in left.values())}
        assert {t for t, f in fronts.items() if f == front} == here
        left = {t: v for t, v in left.items() if t not in here}
        front += 1
    assert front > 3
    order = Goal((UP, SMALL)).order(trials)
    assert [fronts[t] for t in order] == sorted(fronts.values())


def test_a_trial_that_breaks_a_constraint_stands_behind_all_that_do_not() -> None:
    goal = Goal((UP,), (Constraint.parse("parameters <= 100_000"), Constraint.parse("latency_ms >= 1")))
    trials = {
        0: {"val_accuracy": 0.99, "parameters": 100_001.0, "latency_ms": 2.0},
        1: {"val_accuracy": 0.5, "parameters": 100_000.0, "latency_ms": 1.0},
        2: {"val_accuracy": 0.6, "parameters": 10.0, "latency_ms": 3.0},
        3: {"val_accuracy": 0.99, "parameters": 100.0, "latency_ms": 0.5},
    }
    assert goal.order(trials) == [2, 1, 3, 0]
    assert goal.fronts(trials) == {1: 0, 2: 0}


def test_what_no_other_beats_stands_on_the_front() -> None:
    rng = random.Random(5)
    goal, before = Goal((UP, SMALL)), {}
    for trial in range(40):
        values = {"val_accuracy": rng.randint(0, 9) / 10, "parameters": float(rng.randint(1, 9))}
        twice = values in before.values()
        beaten = goal.beaten(values, before.values())
        before[trial] = values
        assert beaten == (goal.fronts(before)[trial] > 0 or twice)


@pytest.mark.parametrize("order", itertools.permutations([0.3, 0.1, 0.2]))
def test_one_objective_orders_by_its_direction(order: tuple[float, ...]) -> None:
    trials = {t: {"val_loss": value} for t, value in enumerate(order)}
    assert [order[t] for t in Goal((Objective("val_loss", "minimize"),)).order(trials)] == [0.1, 0.2, 0.3]


def test_values_come_from_the_metrics_of_a_run() -> None:
    goal = Goal((UP, SMALL), (Constraint.parse("latency_ms <= 2"),))
    metrics = {"val_accuracy": 0.1, "best_val_accuracy": 0.9, "parameters": 5.0, "latency_ms": 1.0, "other": 3.0}
    assert goal.measured(metrics) == {"val_accuracy": 0.9, "parameters": 5.0, "latency_ms": 1.0}
    assert goal.measured({"parameters": 5.0}) is None
    assert goal.measured({**metrics, "latency_ms": math.nan}) is None


STUDY = {"name": "s", "dataset": "digits", "model": "mlp"}
TWO = [{"metric": "val_accuracy", "direction": "maximize"}, {"metric": "parameters", "direction": "minimize"}]


def test_a_study_file_with_several_objectives_is_read_and_written_back() -> None:
    spec = build({"study": {**STUDY, "objectives": TWO, "constraints": ["parameters <= 1e5"]}})
    assert spec.goal == Goal((UP, SMALL), (Constraint("parameters", "<=", 1e5),))
    assert build(spec.tables()) == spec


@pytest.mark.parametrize(
    ("study", "search", "says"),
    [
        ({"objectives": []}, {}, "study.objectives: expected"),
        ({"objectives": [TWO[0], TWO[0]]}, {}, "stands there twice"),
        ({"objectives": TWO, "objective": "val_loss", "direction": "minimize"}, {}, "keep one or the other"),
        ({"objectives": [{"metric": "val_acc", "direction": "maximize"}]}, {}, "Did you mean 'val_accuracy'?"),
        ({"objectives": [{"metric": "val_accuracy"}]}, {}, "direction: it is missing"),
        ({"constraints": ["parameters < 3"]}, {}, "expected 'METRIC <= NUMBER'"),
        ({"constraints": ["parameters <= 1e999"]}, {}, "expected 'METRIC <= NUMBER' with a finite number"),
        ({"constraints": ["parameter <= 3"]}, {}, "Did you mean 'parameters'?"),
        ({"objectives": TWO}, {"pruner": "median"}, "with several objectives nothing can be pruned"),
        ({"objectives": TWO}, {"sampler": "cmaes"}, "cmaes knows one objective"),
        ({"objectives": TWO}, {"engine": "keras-tuner"}, "use engine optuna"),
        ({}, {"engine": "keras-tuner", "pruner": "median"}, "engine keras-tuner has no pruner 'median'; engine optuna has"),
        ({}, {"sampler": "bayesian"}, "engine optuna has no sampler 'bayesian'; engine keras-tuner has"),
    ],
)
def test_what_cannot_be_is_refused_when_the_file_is_read(study: dict, search: dict, says: str) -> None:
    with pytest.raises(StudyError) as error:
        build({"study": {**STUDY, **study}, "search": search, "space": {"depth": {"low": 1, "high": 2}}})
    assert says in str(error.value)
