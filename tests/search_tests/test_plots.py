"""Optuna's plots of a study that MLflow holds, and what mattered in it."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from optuna.trial import TrialState

from tailor.search.analysis.plots import Told, draw_page, measure_importances, to_optuna
from tailor.search.study.load import build
from tailor.search.study.spec import StudySpec

ACCURACY, LATENCY = "val_accuracy", "latency_ms"
TWO = ((ACCURACY, "maximize"), (LATENCY, "minimize"))
FOUR = (*TWO, ("parameters", "minimize"), ("val_macro_f1", "maximize"))
OF_ONE = {"timeline", "intermediate_values", "optimization_history", "slice", "parallel_coordinate", "contour"}


def study(*objectives: tuple[str, str]) -> StudySpec:
    goal = [{"metric": metric, "direction": direction} for metric, direction in objectives]
    tables: dict[str, Any] = {"study": {"name": "s", "dataset": "digits", "model": "mlp", "objectives": goal}}
    return build({**tables, "space": {name: {"low": 0.0, "high": 1.0} for name in ("matters", "not")}})


def told(trial: int, status: str, value: float, **params: float) -> Told:
    values = {ACCURACY: value, LATENCY: 1 + value, "parameters": 9.0, "val_macro_f1": value} if status == "complete" else {}
    text = {name: str(number) for name, number in params.items()}
    return Told(trial, status, text, values, {1: value}, 1000 * trial, 1000 * trial + 500, value)


def planted(best_high: bool, status: str, count: int = 40) -> list[Told]:
    """Trials whose value hangs on `matters` alone, best first, as a leaderboard has them."""
    rng = random.Random(0)
    points = [(rng.random(), rng.random()) for _ in range(count)]
    found = [told(i, status, matters, matters=matters, **{"not": other}) for i, (matters, other) in enumerate(points)]
    return sorted(found, key=lambda one: -one.last if best_high else one.last)


@pytest.mark.parametrize(
    ("objectives", "status"),
    [
        ([(ACCURACY, "maximize")], "complete"),
        ([(ACCURACY, "minimize")], "complete"),
        ([(ACCURACY, "maximize"), (LATENCY, "minimize")], "complete"),
        ([(ACCURACY, "maximize")], "pruned"),
        ([(ACCURACY, "minimize")], "pruned"),
    ],
)
def test_what_mattered_is_what_the_best_trials_have_otherwise(objectives: list[tuple[str, str]], status: str) -> None:
    spec = study(*objectives)
    trials = planted(objectives[0][1] == "maximize", status)
    trials = [told(len(trials), "complete", trials[0].last, matters=trials[0].last, **{"not": 0.5}), *trials]
    mattered = measure_importances(to_optuna(spec, trials), trials)
    placed = [trial.params["matters"] for trial in mattered.study.trials[1:]]
    assert placed == sorted(placed, reverse=objectives[0][1] == "maximize")
    assert list(mattered.shares) == ["matters", "not"]
    assert mattered.shares["matters"] > 0.8 and sum(mattered.shares.values()) == pytest.approx(1)
    assert (mattered.best, mattered.trials, mattered.firm) == (5, 41, True)


@pytest.mark.parametrize(("count", "known", "firm"), [(3, False, False), (4, True, False), (9, True, False), (10, True, True)])
def test_few_trials_say_little(count: int, known: bool, firm: bool) -> None:
    spec = study((ACCURACY, "maximize"))
    trials = planted(True, "complete", count)
    mattered = measure_importances(to_optuna(spec, trials), trials)
    assert (bool(mattered.shares), mattered.firm) == (known, firm)


def test_trials_keep_their_numbers() -> None:
    spec = study((ACCURACY, "maximize"))
    at = {"matters": 0.5, "not": 0.5}
    trials = [
        told(4, "complete", 0.9, **at),
        told(0, "complete", 0.8, matters=0.1, **{"not": 0.2}),
        told(5, "running", 0.1, **at),
    ]
    trials += [told(2, "failed", 0.0, **at), told(3, "lost", 0.0, **at)]
    found = to_optuna(spec, trials)
    states = [trial.state for trial in found.trials]
    waiting = TrialState.WAITING
    assert states == [TrialState.COMPLETE, waiting, TrialState.FAIL, waiting, TrialState.COMPLETE, TrialState.RUNNING]
    assert found.best_trial.number == 4
    assert found.trials[0] is found.trials[0]  # not copied for each plot


def sections(html: str) -> set[str]:
    return {name.replace(" ", "_") for name in re.findall("<h2>(.*?)</h2>", html)}


@pytest.mark.parametrize(
    ("complete", "pruned", "names"),
    [
        (2, 0, {"timeline", "intermediate_values", "optimization_history"}),
        (2, 3, {"timeline", "intermediate_values", "optimization_history", "slice", "parallel_coordinate"}),
        (2, 8, OF_ONE | {"parameter_importance"}),
    ],
)
def test_pruned_trials_are_drawn_and_too_few_are_not(complete: int, pruned: int, names: set[str]) -> None:
    spec = study((ACCURACY, "maximize"))
    statuses = ["complete"] * complete + ["pruned"] * pruned
    trials = [told(i, status, 0.1 * i, matters=0.1 * i, **{"not": 0.07 * i}) for i, status in enumerate(statuses)]
    found = to_optuna(spec, trials)
    html = draw_page(found, measure_importances(found, trials))
    assert sections(html) == names


@pytest.mark.parametrize(("objectives", "more"), [(TWO, {"pareto_front"}), (FOUR, set())])
def test_several_objectives_have_the_pictures_of_one_and_their_front(objectives: Any, more: set[str]) -> None:
    spec = study(*objectives)
    trials = planted(True, "complete", 10)
    found = to_optuna(spec, trials)
    mattered = measure_importances(found, trials)
    wanted = OF_ONE | {"parameter_importance"} | more
    html = draw_page(found, mattered)
    assert sections(html) == wanted
    assert f'"yaxis":{{"title":{{"text":"{ACCURACY}"}}}}' in html  # the history is of the first objective, and says so
