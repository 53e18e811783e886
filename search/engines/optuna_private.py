"""What Tailor uses of Optuna 5 that its documentation does not promise; look here first when its major version changes."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState


def live_trial(study: optuna.Study, frozen: FrozenTrial) -> Trial:
    """A running trial of an earlier process, for reports: the public API returns a Trial only from `ask` (5.0)."""
    return Trial(study, frozen._trial_id)


def fixed_params(trial: FrozenTrial) -> Mapping[str, Any] | None:
    """The point that `enqueue_trial` queued: it shows what was given out before a restart; nothing public does (5.0)."""
    return trial.system_attrs.get("fixed_params")


class StudyView:
    """A study that shows a sampler some of its trials. TPE and its search spaces read them by `_get_trials` (5.0)."""

    def __init__(self, study: optuna.Study, trials: list[FrozenTrial]) -> None:
        self._study = study
        self._trials = trials

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        return [trial for trial in self._trials if states is None or trial.state in states]

    get_trials = _get_trials

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)
