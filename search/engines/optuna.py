"""Optuna by ask and tell: storage, samplers and pruners are Optuna's; this file only translates."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Literal

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from ..errors import StudyError
from ..space.conditions import Value
from ..space.function import forbids_all
from ..study.capabilities import LISTED, list_first
from ..study.spec import StudySpec
from .blame import blaming
from .optuna_private import fixed_params, live_trial
from .protocol import Done, Outcome, Record, Suggestion, Wait
from .samplers import make_pruner, make_sampler
from .seeds import mix
from .storage import AWAY, lasting, open_storage, place, refusing

HPARAMS = "tailor.hparams"
REASON = "tailor.reason"
PRUNED = "tailor.pruned"  # the epoch after which the pruner stopped it
CONSTRAINED = "tailor.constrained"  # the values of metrics that only constraints name
FORBIDDEN = "tailor.forbidden"  # by the space function: no trial of the study, but samplers learn from it
IN_A_ROW = 100  # trials that the function may forbid in a row
EXHAUSTED = "tailor.exhausted"  # the sampler that has nothing more to propose
OUTCOMES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}
ASKED = (TrialState.RUNNING, *OUTCOMES)
STATES = {status: state for state, status in OUTCOMES.items()}
PATIENCE = 60.0  # seconds that a database server may be away


def _create(spec: StudySpec, storage: optuna.storages.BaseStorage | None) -> optuna.Study:
    """The spec's study in the storage, or in memory; one that is there already is loaded."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna.create_study(
        study_name=spec.name,
        storage=storage,
        sampler=make_sampler(spec.search, spec.search.seed),
        pruner=make_pruner(spec.search),
        directions=[objective.direction for objective in spec.goal.objectives],
        load_if_exists=True,
    )


class OptunaEngine:
    """The Engine over one Optuna study."""

    def __init__(self, spec: StudySpec, study: optuna.Study, storage_url: str, say: Callable[[str], None]) -> None:
        self._spec = spec
        self._study = study
        self.place, self.say = place(storage_url), say
        self.patience = 0.0 if storage_url.startswith("sqlite") else PATIENCE  # SQLite waits for its lock by itself
        self._given: set[int] = set()  # the running trials that the coordinator knows of
        self._live: dict[int, Trial] = {}
        self._reported: dict[int, set[int]] = {}  # by resumed trial, the epochs that the study has
        self._listed = list_first(spec)

    @classmethod
    def open(cls, spec: StudySpec, storage_url: str, say: Callable[[str], None]) -> OptunaEngine:
        """Create or load the study named by the spec. Raises StudyError for arguments that Optuna refuses."""
        with refusing(storage_url):
            return cls(spec, _create(spec, open_storage(storage_url)), storage_url, say)

    @classmethod
    def in_memory(cls, spec: StudySpec) -> OptunaEngine:
        """The same, of a study that is forgotten with it."""
        return cls(spec, _create(spec, None), "sqlite://", print)

    @property
    def _compares(self) -> bool:
        """Whether a pruner compares trials by epoch."""
        return self._spec.objective.by_epoch and self._spec.search.pruner.name != "none"

    @lasting
    def ask(self) -> Suggestion | Wait | Done:
        for _ in range(IN_A_ROW):
            if (answer := self._ask_once()) is not None:
                return answer
        raise forbids_all(self._spec.by_run, IN_A_ROW)

    def _ask_once(self) -> Suggestion | Done | None:
        """The result of an ask; None if the space forbids what was drawn."""
        plan = self._spec.search
        for begun in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if begun.number not in self._given:  # its ask was cut off when the database went away
                return self._suggestion(begun.number, self._hparams(begun))
        asked = self._study.get_trials(deepcopy=False, states=ASKED)
        if sum(FORBIDDEN not in trial.user_attrs for trial in asked) >= plan.trials:
            return Done(f"{plan.trials} of {plan.trials} trials", spent=self.left() == 0)
        if not self._enqueue_next():
            if plan.sampler.name in LISTED:
                return Done(f"every point of the {plan.sampler.name} ({len(self._listed)})", spent=True)
            if self._study.user_attrs.get(EXHAUSTED) == repr(plan.sampler):
                return Done(f"{plan.sampler.name} has nothing more to propose", spent=True)
        self._reseed(len(asked))
        with self._blaming("sampler"):
            trial = self._study.ask()
        self._live[trial.number] = trial
        return self._suggestion(trial.number, self._draw(trial))

    @lasting
    def report(self, trial: int, epoch: int, values: Mapping[str, float]) -> bool:
        if not self._compares:
            return False
        live = self._trial(trial)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a resumed attempt reports the same epochs again
            live.report(values[self._spec.objective.metric], epoch)
        self._reported.pop(trial, None)  # another attempt at it would ask anew
        if PRUNED in live.user_attrs:  # an earlier attempt died before it could stop; its rung is not asked about again
            return True
        if not self._would_prune(live, epoch):
            return False
        live.set_user_attr(PRUNED, epoch)
        return True

    @lasting
    def replay(self, trial: int, epoch: int, values: Mapping[str, float]) -> None:
        if not self._compares:
            return
        if trial not in self._reported:  # not asked at each epoch: the database is slower than a replay
            self._reported[trial] = set(self._study.get_trials(deepcopy=False)[trial].intermediate_values)
        # Missing if an earlier session had no pruner: halving would take the next epoch's value for that of each earlier look.
        if epoch not in self._reported[trial]:
            live = self._trial(trial)
            live.report(values[self._spec.objective.metric], epoch)
            self._reported[trial].add(epoch)
            self._would_prune(live, epoch)  # halving keeps the values that it looked at apart

    @lasting
    def tell(self, trial: int, outcome: Outcome) -> None:
        if trial in self._live and self._study.get_trials(deepcopy=False)[trial].state.is_finished():
            del self._live[trial]  # the database took it, and went away before it could confirm
            return
        live = self._trial(trial)
        if outcome.reason:
            live.set_user_attr(REASON, outcome.reason)
        values = None
        if outcome.status == "complete":
            values = [outcome.values[objective.metric] for objective in self._spec.goal.objectives]
            if self._spec.constraints:
                live.set_user_attr(CONSTRAINED, {c.metric: outcome.values[c.metric] for c in self._spec.constraints})
            for constraint in self._spec.constraints:
                live.set_constraint(str(constraint), constraint.violation(outcome.values))
        with self._blaming("sampler"):
            try:
                self._study.tell(trial, values, STATES[outcome.status])
            except RuntimeError as error:
                if "Study.stop" not in str(error):
                    raise
                # Samplers such as Optuna's BruteForceSampler stop the study after a tell; only `optimize` allows that.
                self._study.set_user_attr(EXHAUSTED, repr(self._spec.search.sampler))
        del self._live[trial]

    @lasting
    def unfinished(self) -> list[Suggestion]:
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        found = [self._suggestion(trial.number, self._hparams(trial)) for trial in running]
        return [suggestion for suggestion in found if suggestion is not None]

    @lasting
    def records(self) -> list[Record]:
        told = self._study.get_trials(deepcopy=False, states=tuple(OUTCOMES))
        return [
            Record(t.number, dict(t.user_attrs.get(HPARAMS, {})), self._outcome(t)) for t in told if FORBIDDEN not in t.user_attrs
        ]

    @lasting
    def left(self) -> int | None:
        return sum(1 for _ in self._list_left()) if self._spec.search.sampler.name in LISTED else None

    def _list_left(self) -> Iterator[dict[str, Value]]:
        """The listed points that no trial has begun with."""
        trials = self._study.get_trials(deepcopy=False, states=ASKED)
        begun = {frozenset(point.items()) for trial in trials if (point := fixed_params(trial)) is not None}
        return (point for point in self._listed if frozenset(point.items()) not in begun)

    def _enqueue_next(self) -> bool:
        """Enqueue the first listed point that no trial has; False if there is none."""
        if self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            return True
        point = next(self._list_left(), None)
        if point is not None:
            self._study.enqueue_trial(point)
        return point is not None

    def _would_prune(self, live: Trial, epoch: int) -> bool:
        """What the pruner says; after the last epoch nothing is left to save, and the trial is whole."""
        with self._blaming("pruner"):
            return epoch < self._spec.search.max_epochs and live.should_prune()

    def _blaming(self, key: Literal["sampler", "pruner"]) -> AbstractContextManager[None]:
        return blaming(key, self._spec.search, AWAY)

    def _trial(self, number: int) -> Trial:
        if number not in self._live:
            trials = self._study.get_trials(deepcopy=False)
            if number >= len(trials) or trials[number].state != TrialState.RUNNING:
                raise KeyError(f"trial {number} of study {self._spec.name!r} is not running")
            self._live[number] = live_trial(self._study, trials[number])
        return self._live[number]

    def _suggestion(self, number: int, hparams: dict[str, Value] | None) -> Suggestion | None:
        if hparams is None:
            return None
        self._given.add(number)
        return Suggestion(number, hparams, self._spec.search.max_epochs)

    def _hparams(self, trial: FrozenTrial) -> dict[str, Value] | None:
        """The trial's values; one killed within its ask has only some, and the rest are drawn now."""
        if HPARAMS in trial.user_attrs:
            return dict(trial.user_attrs[HPARAMS])
        self._reseed(trial.number)
        return self._draw(self._trial(trial.number))

    def _draw(self, trial: Trial) -> dict[str, Value] | None:
        """The trial's values, stored on it; None if the space forbids them."""
        with self._blaming("sampler"):  # its trial stays: another sampler, or a repaired one, draws it at the next start
            try:
                hparams = self._spec.source.draw(trial)
            except StudyError as error:
                if isinstance(error.__cause__, AWAY):  # of the trial's database
                    raise error.__cause__ from None
                # End the trial, or every later start fails on it.
                trial.set_user_attr(HPARAMS, {})
                self.tell(trial.number, Outcome("failed", reason=str(error)))
                raise
        if hparams is None:
            trial.set_user_attr(FORBIDDEN, True)
            self.tell(trial.number, Outcome("pruned", reason="forbidden by study.space"))
            return None
        trial.set_user_attr(HPARAMS, hparams)
        return hparams

    def _reseed(self, trial: int) -> None:
        """Make the sampler anew: one seeded once would propose its first trials again after a restart."""
        self._study.sampler = make_sampler(self._spec.search, mix(self._spec.search.seed, trial))

    def _outcome(self, trial: FrozenTrial) -> Outcome:
        values: dict[str, float] = {}
        if trial.state == TrialState.COMPLETE and trial.values is not None:
            values = {objective.metric: value for objective, value in zip(self._spec.goal.objectives, trial.values, strict=True)}
            values |= trial.user_attrs.get(CONSTRAINED, {})
        return Outcome(OUTCOMES[trial.state], values, trial.user_attrs.get(REASON, ""))  # type: ignore[arg-type]
