"""When a search has had enough."""

from __future__ import annotations

import pytest

from tailor.experiments.cli.search import find_way_on
from tailor.experiments.coordinator.budget import Budget
from tailor.search.study.goal import Objective
from tailor.search.study.spec import SearchPlan

UP, DOWN = Objective("val_accuracy", "maximize"), Objective("val_loss", "minimize")


def after(values: list[float | None], objective: Objective = UP, **plan: float) -> str:
    """What a budget says after trials with those values; None is a failed one."""
    budget = Budget(SearchPlan(**plan), objective, started=0.0)  # type: ignore[arg-type]
    for trial, value in enumerate(values):
        budget.count(trial, "failed" if value is None else "complete", value)
        budget.epochs += 2
    return budget.find_end(now=50.0)


@pytest.mark.parametrize(
    ("values", "objective", "plan", "says"),
    [
        ([0.5, 0.6], UP, {}, ""),
        ([0.5, 0.6], UP, {"timeout": 100}, ""),
        ([0.5], UP, {"timeout": 50}, "the time is up"),
        ([0.5, 0.6], UP, {"total_epochs": 5}, ""),
        ([0.5, 0.6], UP, {"total_epochs": 4}, "all 4 epochs are spent"),
        ([0.5], UP, {"total_epochs": 1}, "the 1 epoch is spent"),
        ([None, None], UP, {}, ""),
        ([None, None, None], UP, {}, "the first 3 trials of this session all failed"),
        ([None, 0.5, None, None], UP, {}, ""),
        ([0.5, 0.8], UP, {"target": 0.8}, "trial 1 reached the target, 0.8"),
        ([0.5, 0.79], UP, {"target": 0.8}, ""),
        ([0.5, 0.3], DOWN, {"target": 0.3}, "trial 1 reached the target, 0.3"),
        ([0.5, 0.4], DOWN, {"target": 0.3}, ""),
        ([0.5, 0.6, 0.6, None], UP, {"patience": 2}, "no improvement in 2 trials"),
        ([0.5, 0.6, 0.6], UP, {"patience": 2}, ""),
        ([0.5, 0.4, 0.6, 0.3], DOWN, {"patience": 2}, ""),
        ([None, None], UP, {"patience": 1}, ""),  # nothing to improve on yet
    ],
)
def test_why_no_more_trials_are_asked_for(values: list, objective: Objective, plan: dict, says: str) -> None:
    assert after(values, objective, **plan) == says


@pytest.mark.parametrize(
    ("values", "plan", "option"),
    [
        ([0.5], {"timeout": 50}, ""),
        ([0.5, 0.6], {"total_epochs": 4}, "--set search.total_epochs=N"),
        ([0.5], {"total_epochs": 1}, "--set search.total_epochs=N"),
        ([0.5, 0.8], {"target": 0.8}, "--set search.target=X"),
        ([0.5, 0.4], {"patience": 1}, "--set search.patience=N"),
    ],
)
def test_the_next_command_lifts_what_ended_the_search(values: list[float], plan: dict[str, float], option: str) -> None:
    assert find_way_on(after(values, **plan), lambda: "tailor search a.toml")[0] == f"tailor search a.toml {option}".rstrip()


def test_a_trial_on_the_pareto_front_is_something_better() -> None:
    budget = Budget(SearchPlan(patience=2), UP, started=0.0)
    for trial, (value, on_front) in enumerate([(0.9, True), (0.5, False), (0.4, True), (0.3, False)]):
        budget.count(trial, "complete", value, on_front=on_front)
        assert not budget.find_end(0.0)
    budget.count(4, "complete", 0.2)
    assert budget.find_end(0.0) == "no improvement in 2 trials"
    assert budget.best == (0, 0.9)


def test_what_failed_in_an_earlier_session_may_have_been_mended() -> None:
    budget = Budget(SearchPlan(), UP, started=0.0)
    for trial in range(3):
        budget.count(trial, "failed", None, earlier=True)
    assert not budget.find_end(0.0)
    for trial in range(3, 6):
        budget.count(trial, "failed", None)
    assert budget.hopeless and budget.find_end(0.0) == "the first 3 trials of this session all failed"
