"""What mattered in a study: which hyperparameters differ between its best trials and all its trials (Optuna's PED-ANOVA)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, create_trial

from ..study.goal import Direction

FEWEST = 4  # trials, of which the best two can be set apart
FIRM = 5  # best trials; from so many on Optuna calls the figures stable
TENTH = 10


@dataclass(frozen=True)
class Importance:
    """Each hyperparameter's share, largest first, 1 in sum; empty if nothing is known. `best` of `trials` are set apart.

    `study` has the trials with their places as values, for Optuna's plot of the same.
    """

    study: optuna.Study
    shares: Mapping[str, float]
    best: int
    trials: int

    @property
    def firm(self) -> bool:
        """Whether there are enough trials for advice."""
        return self.best >= FIRM

    @property
    def evaluator(self) -> PedAnovaImportanceEvaluator:
        """Optuna's evaluator, which sets just the best apart."""
        return PedAnovaImportanceEvaluator(target_quantile=(self.best - 0.5) / self.trials)


class _Study(optuna.Study):
    """Gives the plots its trials as they are: Optuna's copies them all, for each plot several times."""

    @property
    def trials(self) -> list[FrozenTrial]:
        return self.get_trials(deepcopy=False)


def create_study(name: str, directions: Sequence[Direction | StudyDirection]) -> optuna.Study:
    """A study in memory, to draw."""
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(study_name=name, storage=storage, directions=directions)
    return _Study(name, storage)


def measure_importance(study: optuna.Study, places: Sequence[int]) -> Importance:
    """The importances among the trials with these numbers, best first. Their places stand for values: so pruned trials, and
    trials of several objectives or that break constraints, count too.
    """
    trials = study.get_trials(deepcopy=False)
    placed = create_study("places", ["minimize"])
    placed.add_trials(
        [
            create_trial(value=float(place), params=trials[number].params, distributions=trials[number].distributions)
            for place, number in enumerate(places)
        ]
    )
    best = min(len(places) // 2, max(FIRM, math.ceil(len(places) / TENTH)))
    found = Importance(placed, {}, best, len(places))
    if len(places) < FEWEST:
        return found
    try:
        raw = get_param_importances(placed, evaluator=found.evaluator, normalize=False)
    except (RuntimeError, ValueError):  # no trial has a parameter that varies
        return found
    total = sum(raw.values())
    return Importance(placed, {name: share / total for name, share in raw.items()}, best, len(places)) if total else found
