"""TPE that learns from some of the trials, once there are thousands: its cost grows with every trial that it reads.

Optuna's TPE fits its good side to 25 trials at most. Among thousands, the others only show where values are worse; a sample of
them, spread evenly over the search, shows that too. (The newest alone do not: they lie where the best do.)
"""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .optuna_private import StudyView

BEST, SAMPLED = 100, 900


class BoundedTPE(optuna.samplers.TPESampler):
    """Optuna's TPE, which reads at most BEST + SAMPLED finished trials. One instance serves one ask."""

    _shown: StudyView | None = None

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return super().infer_relative_search_space(self._bounded(study), trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return super().sample_relative(self._bounded(study), trial, search_space)

    def sample_independent(self, study: optuna.Study, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        return super().sample_independent(self._bounded(study), trial, name, distribution)

    def _bounded(self, study: optuna.Study) -> Any:
        if self._shown is None:
            self._shown = StudyView(study, choose(study.get_trials(deepcopy=False), study.directions))
        return self._shown


def choose(trials: list[FrozenTrial], directions: list[StudyDirection]) -> list[FrozenTrial]:
    """The trials that run or wait, the best by each objective, and an even sample of the others, in order."""
    if len(trials) <= BEST + SAMPLED:
        return trials
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    best: set[int] = set()
    for objective, direction in enumerate(directions):
        best.update(_rank(complete, objective, direction)[: BEST // len(directions)])
    others = [trial.number for trial in trials if trial.state.is_finished() and trial.number not in best]
    sampled = {others[i * len(others) // SAMPLED] for i in range(min(SAMPLED, len(others)))}
    return [trial for trial in trials if not trial.state.is_finished() or trial.number in best or trial.number in sampled]


def _rank(complete: list[FrozenTrial], objective: int, direction: StudyDirection) -> list[int]:
    """Numbers of complete trials: the best by one objective first, those that break constraints last, by how much."""
    sign = -1 if direction == StudyDirection.MAXIMIZE else 1

    def place(trial: FrozenTrial) -> tuple[float, float]:
        broken = sum(max(0.0, violation) for violation in trial.constraints.values())
        return broken, sign * (trial.values or [0.0])[objective]

    return [trial.number for trial in sorted(complete, key=place)]
