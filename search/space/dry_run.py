"""Optuna trials in memory alone: a rule picks each value, to see what a function suggests."""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from .parameters import Choice, Float, Int, check_distinct
from .space import Suggester


def new_study() -> optuna.Study:
    """A study in memory."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study()


def ask(study: optuna.Study, rule: Suggester) -> optuna.Trial:
    """A trial of the study; the rule picks its values."""
    study.sampler = _Picks(rule)
    return study.ask()


class _Picks(optuna.samplers.BaseSampler):
    """Asks a rule for each value."""

    def __init__(self, rule: Suggester) -> None:
        self._rule = rule

    def infer_relative_search_space(self, study: optuna.Study, trial: Any) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(self, study: optuna.Study, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: optuna.Study, trial: Any, name: str, distribution: BaseDistribution) -> Any:
        return self._rule(_parameter(name, distribution))


def _parameter(name: str, distribution: BaseDistribution) -> Float | Int | Choice:
    if isinstance(distribution, CategoricalDistribution):
        choice = Choice(name, tuple(distribution.choices))  # type: ignore[arg-type]
        check_distinct(choice)
        return choice
    if isinstance(distribution, IntDistribution):
        step = None if distribution.step == 1 else distribution.step
        return Int(name, distribution.low, distribution.high, distribution.log, step)
    assert isinstance(distribution, FloatDistribution)  # there are three kinds
    return Float(name, distribution.low, distribution.high, distribution.log, distribution.step)
