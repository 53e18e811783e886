"""Optuna by ask and tell: storage, samplers and pruners are Optuna's; this file only translates."""

from __future__ import annotations

import hashlib
import random
import warnings
from collections.abc import Callable, Mapping
from typing import TypeVar, cast

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from search.engine import Done, Outcome, Record, Suggestion, Wait
from search.errors import StudyError
from search.space import Choice, Float, Int, Value, points, walk
from search.spec import Component, SearchPlan, StudySpec

HPARAMS = "tailor.hparams"
REASON = "tailor.reason"
OUTCOMES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
ASKED = (TrialState.RUNNING, *OUTCOMES)
STATES = {status: state for state, status in OUTCOMES.items()}

T = TypeVar("T")


class OptunaEngine:
    """The Engine over one Optuna study."""

    def __init__(self, spec: StudySpec, study: optuna.Study) -> None:
        self._spec = spec
        self._study = study
        self._live: dict[int, Trial] = {}
        self._listed = [dict(point) for point in spec.enqueue]  # to be tried before the sampler's own
        if spec.search.sampler.name == "grid":
            grid = points(spec.space)
            random.Random(spec.search.seed).shuffle(grid)  # a budget below the grid's size still spreads over it
            self._listed += [point for point in grid if point not in self._listed]

    @classmethod
    def open(cls, spec: StudySpec, storage_url: str) -> OptunaEngine:
        """Create or load the study named by the spec. Raises StudyError for arguments that Optuna refuses."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(
            study_name=spec.name,
            storage=storage_url,
            sampler=make_sampler(spec.search, spec.search.seed),
            pruner=make_pruner(spec.search),
            direction=spec.objective.direction,
            load_if_exists=True,
        )
        return cls(spec, study)

    def ask(self) -> Suggestion | Wait | Done:
        plan = self._spec.search
        asked = len(self._study.get_trials(deepcopy=False, states=ASKED))
        if asked >= plan.trials:
            return Done(f"all {plan.trials} trials are given out")
        if not self._enqueue_next() and plan.sampler.name == "grid":
            return Done(f"all {len(self._listed)} points of the grid are given out")
        # A sampler seeded once would propose its first trials again after a restart.
        self._study.sampler = make_sampler(plan, seed=_mix(plan.seed, asked))
        trial = self._study.ask()
        hparams = walk(self._spec.space, lambda parameter: _suggest(trial, parameter))
        trial.set_user_attr(HPARAMS, hparams)
        self._live[trial.number] = trial
        return Suggestion(trial.number, hparams, plan.max_epochs)

    def report(self, trial: int, epoch: int, values: Mapping[str, float]) -> bool:
        objective = self._spec.objective
        if not objective.by_epoch or self._spec.search.pruner.name == "none":
            return False
        live = self._trial(trial)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a resumed attempt reports the same epochs again
            live.report(values[objective.metric], epoch)
        return live.should_prune()

    def tell(self, trial: int, outcome: Outcome) -> None:
        live = self._trial(trial)
        if outcome.reason:
            live.set_user_attr(REASON, outcome.reason)
        value = outcome.values.get(self._spec.objective.metric)
        self._study.tell(trial, value if outcome.status == "complete" else None, STATES[outcome.status])
        del self._live[trial]

    def unfinished(self) -> list[Suggestion]:
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [Suggestion(t.number, self._hparams(t), self._spec.search.max_epochs) for t in waiting]

    def records(self) -> list[Record]:
        told = self._study.get_trials(deepcopy=False, states=tuple(OUTCOMES))
        return [Record(t.number, self._hparams(t), self._outcome(t)) for t in told]

    def _enqueue_next(self) -> bool:
        """Line up the first listed point that no trial was given; False when there is none."""
        if not self._listed:
            return False
        trials = self._study.get_trials(deepcopy=False)
        if any(trial.state == TrialState.WAITING for trial in trials):
            return True
        given = [trial.system_attrs.get("fixed_params") for trial in trials]
        for point in self._listed:
            if point not in given:
                self._study.enqueue_trial(point)
                return True
        return False

    def _trial(self, number: int) -> Trial:
        if number not in self._live:
            trials = self._study.get_trials(deepcopy=False)
            if number >= len(trials) or trials[number].state != TrialState.RUNNING:
                raise KeyError(f"trial {number} of study {self._spec.name!r} is not running")
            self._live[number] = Trial(self._study, trials[number]._trial_id)
        return self._live[number]

    def _hparams(self, trial: FrozenTrial) -> dict[str, Value]:
        """What was walked; a trial killed within its ask has some parameters only, and the rest are drawn now."""
        if HPARAMS in trial.user_attrs:
            return dict(trial.user_attrs[HPARAMS])
        live = self._trial(trial.number)
        hparams = walk(self._spec.space, lambda parameter: _suggest(live, parameter))
        live.set_user_attr(HPARAMS, hparams)
        return hparams

    def _outcome(self, trial: FrozenTrial) -> Outcome:
        values = (
            {self._spec.objective.metric: trial.value} if trial.state == TrialState.COMPLETE and trial.value is not None else {}
        )
        return Outcome(OUTCOMES[trial.state], values, trial.user_attrs.get(REASON, ""))  # type: ignore[arg-type]


def make_sampler(plan: SearchPlan, seed: int) -> optuna.samplers.BaseSampler:
    """The plan's sampler with that seed. Raises StudyError for arguments that Optuna refuses."""
    if plan.sampler.name == "tpe":
        # Without `group` a conditional parameter silently leaves the joint sampling.
        defaults = {"multivariate": True, "group": True, "constant_liar": True}
        return _make(optuna.samplers.TPESampler, plan.sampler, {**defaults, "seed": seed})
    return _make(optuna.samplers.RandomSampler, plan.sampler, {"seed": seed})


def make_pruner(plan: SearchPlan) -> optuna.pruners.BasePruner:
    """The plan's pruner; epochs are its steps, from 1. Raises StudyError for arguments that Optuna refuses."""
    if plan.pruner.name == "hyperband":
        return _make(optuna.pruners.HyperbandPruner, plan.pruner, {"min_resource": 1, "max_resource": plan.max_epochs})
    if plan.pruner.name == "median":
        return _make(optuna.pruners.MedianPruner, plan.pruner, {})
    return optuna.pruners.NopPruner()


def _make(kind: Callable[..., T], component: Component, defaults: Mapping[str, object]) -> T:
    try:
        return kind(**{**defaults, **component.arguments})
    except (TypeError, ValueError) as error:
        raise StudyError(f"search: {component.name} does not take {dict(component.arguments)}: {error}.") from error


def _suggest(trial: Trial, parameter: Float | Int | Choice) -> Value:
    if isinstance(parameter, Choice):
        return cast("Value", trial.suggest_categorical(parameter.name, parameter.choices))
    if isinstance(parameter, Int):
        return trial.suggest_int(parameter.name, parameter.low, parameter.high, log=parameter.log, step=parameter.step or 1)
    return trial.suggest_float(parameter.name, parameter.low, parameter.high, log=parameter.log, step=parameter.step)


def _mix(seed: int, trial: int) -> int:
    """A 32-bit seed of (study seed, trial number)."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{trial}".encode()).digest()[:4], "big")
