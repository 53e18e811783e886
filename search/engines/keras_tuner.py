"""Keras Tuner by its public Oracle: the tuners are Keras Tuner's, and this file only translates, and keeps their state safe.

Importing Keras Tuner imports TensorFlow, so only a study that uses it imports this file.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner

from ..errors import StudyError
from ..space.conditions import Condition, Value, When, holds
from ..space.parameters import Choice, Fixed, Float, Int, Parameter, normalize
from ..space.points import list_values
from ..space.rules import draw
from ..space.space import Space, walk
from ..study.capabilities import LISTED, list_first
from ..study.key_values import Component
from ..study.spec import StudySpec
from . import state_file
from .keras_tuner_private import Trial, restore, stop_saving, under
from .protocol import Done, Outcome, Record, Suggestion, Wait
from .seeds import mix

OWN = "tuner/"  # Hyperband passes these among the values
NO_LIMIT = 1_000_000  # the budget is the spec's, so that it can grow
STATUS = {"COMPLETED": "complete", "FAILED": "failed"}


class KerasTunerEngine:
    """The Engine over one Oracle. Its state is one file, written before an ask or a tell returns."""

    def __init__(self, spec: StudySpec, oracle: keras_tuner.Oracle, path: Path) -> None:
        self._spec = spec
        self._oracle = oracle
        self._path = path

    @classmethod
    def open(cls, spec: StudySpec, folder: Path) -> KerasTunerEngine:
        """Create or load the oracle of the study named by the spec. Raises StudyError for what Keras Tuner cannot do."""
        oracle = make_oracle(spec)
        path = folder / spec.name / "oracle.json"
        state = state_file.read(path)
        if state is not None:
            restore(oracle, state)
        return cls(spec, oracle, path)

    def ask(self) -> Suggestion | Wait | Done:
        plan, count = self._spec.search, len(self._oracle.trials)
        if count >= plan.trials:
            return Done(f"{plan.trials} of {plan.trials} trials", spent=self.left() == 0)
        trial = self._oracle.create_trial(f"tailor-{count}")
        if trial.status == "IDLE":
            return Wait()
        if trial.status == "STOPPED":
            return Done(f"{plan.sampler.name} has nothing more to propose", spent=True)
        self._save()
        return self._suggestion(trial)

    def report(self, trial: int, epoch: int, values: Mapping[str, float]) -> bool:
        return False  # Keras Tuner prunes nothing

    def replay(self, trial: int, epoch: int, values: Mapping[str, float]) -> None:
        pass

    def tell(self, trial: int, outcome: Outcome) -> None:
        own = next((t for key, t in self._oracle.trials.items() if int(key) == trial and t.status == "RUNNING"), None)
        if own is None:
            raise KeyError(f"trial {trial} of study {self._spec.name!r} is not running")
        own.status = "COMPLETED" if outcome.status == "complete" else "FAILED"
        own.message = outcome.reason
        if outcome.status == "complete":
            self._oracle.update_trial(own.trial_id, {self._spec.objective.metric: outcome.values[self._spec.objective.metric]})
        self._oracle.end_trial(own)
        self._save()

    def unfinished(self) -> list[Suggestion]:
        return [self._suggestion(trial) for _, trial in self._trials() if trial.status == "RUNNING"]

    def records(self) -> list[Record]:
        return [
            Record(number, self._hparams(trial), self._outcome(trial))
            for number, trial in self._trials()
            if trial.status in STATUS
        ]

    def left(self) -> int | None:
        if self._spec.search.sampler.name not in LISTED:
            return None
        given = {frozenset(point.items()) for point in self._oracle.given}
        return sum(frozenset(point.items()) not in given for point in list_first(self._spec))

    def _trials(self) -> list[tuple[int, Trial]]:
        return sorted((int(key), trial) for key, trial in self._oracle.trials.items())

    def _suggestion(self, trial: Trial) -> Suggestion:
        values = trial.hyperparameters.values
        earlier = values.get(f"{OWN}trial_id")
        return Suggestion(
            int(trial.trial_id),
            self._hparams(trial),
            values.get(f"{OWN}epochs", self._spec.search.max_epochs),
            continues=None if earlier is None else int(earlier),
            epochs_done=values.get(f"{OWN}initial_epoch", 0) if earlier is not None else 0,
        )

    def _hparams(self, trial: Trial) -> dict[str, Value]:
        def value(parameter: Float | Int | Choice) -> Value:
            found = trial.hyperparameters.values[parameter.name]
            if not isinstance(parameter, Choice):
                found = min(found, parameter.high)  # a whole number on a log scale may be one above
            return normalize(parameter, found)

        return walk(self._spec.space, value)

    def _outcome(self, trial: Trial) -> Outcome:
        status = STATUS[trial.status]
        values = {self._spec.objective.metric: trial.score} if status == "complete" else {}
        return Outcome(status, values, trial.message or "")  # type: ignore[arg-type]

    def _save(self) -> None:
        trials = {
            key: {"values": t.hyperparameters.values, "status": t.status, "score": t.score, "message": t.message}
            for key, t in self._oracle.trials.items()
        }
        state_file.write(self._path, {"oracle": self._oracle.get_state(), "trials": trials})


def make_oracle(spec: StudySpec) -> keras_tuner.Oracle:
    """The plan's tuner over the space. Raises StudyError for arguments that it does not take."""
    name = spec.search.sampler.name
    rules: dict[str, Any] = {
        "objective": keras_tuner.Objective(
            spec.objective.metric, {"maximize": "max", "minimize": "min"}[spec.objective.direction]
        ),
        "hyperparameters": translate(spec.space),
        "allow_new_entries": False,
        "tune_new_entries": False,
        "seed": mix(spec.search.seed, 0) or 1,  # Keras Tuner adds 1 for each value that it draws; 0 means a random seed
        "max_consecutive_failed_trials": NO_LIMIT,  # the coordinator decides that
    }
    if name == "hyperband":
        rules |= {"max_epochs": spec.search.max_epochs, "hyperband_iterations": None}
    else:
        rules["max_trials"] = NO_LIMIT
    kind: type[keras_tuner.Oracle] = {
        "random": keras_tuner.oracles.RandomSearchOracle,
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
        "hyperband": keras_tuner.oracles.HyperbandOracle,
        "grid": keras_tuner.Oracle,
    }[name]
    oracle = _make(_with_list(kind, spec), spec.search.sampler, rules)
    oracle.verbose = 0
    stop_saving(oracle)  # see _save above
    return oracle


def translate(space: Space) -> keras_tuner.HyperParameters:
    """The searched parameters as Keras Tuner declares them, with the same meaning (see capabilities.py)."""
    found = keras_tuner.HyperParameters()
    declared = {parameter.name: parameter for parameter in space.parameters}
    for parameter in space.searched:
        parents = _list_parents(parameter.when, declared)
        if parents is not None:
            with under(found, parents):
                _declare(found, parameter)
    return found


def _list_parents(when: When, declared: Mapping[str, Parameter]) -> dict[str, list[Value]] | None:
    """Each parent that the conditions depend on, outermost first, with the values for which they hold; None if they never do."""
    found: dict[str, list[Value]] = {}
    for condition in when:
        parent = declared[condition.name]
        outer = _list_parents(parent.when, declared)
        here = None if outer is None else _list_satisfying(condition, parent)
        if outer is None or here is None:
            return None
        for name, values in {**outer, **here}.items():
            found[name] = [value for value in found.get(name, values) if value in values]
    return found if all(found.values()) else None


def _list_satisfying(condition: Condition, parent: Parameter) -> dict[str, list[Value]] | None:
    if isinstance(parent, Fixed):  # Keras Tuner does not know it; if it is absent, `walk` skips what depends on it
        return {} if holds((condition,), {parent.name: parent.value}) else None
    return {parent.name: [value for value in list_values(parent) if condition.holds({parent.name: value})]}


def _declare(found: keras_tuner.HyperParameters, parameter: Parameter) -> None:
    if isinstance(parameter, Choice):
        found.Choice(parameter.name, list(parameter.choices))
    elif isinstance(parameter, Float) and parameter.step:
        # Keras Tuner counts a float's steps by rounding down, and 0.5 // 0.1 is 4. In an ordered list each has its place.
        found.Choice(parameter.name, list_values(parameter))
    elif isinstance(parameter, (Float, Int)):
        declare = found.Int if isinstance(parameter, Int) else found.Float
        declare(parameter.name, parameter.low, parameter.high, parameter.step, "log" if parameter.log else "linear")


def _make(kind: type[keras_tuner.Oracle], sampler: Component, rules: Mapping[str, Any]) -> keras_tuner.Oracle:
    try:
        return kind(**{**rules, **sampler.arguments})
    except (TypeError, ValueError) as error:
        raise StudyError(
            f"search.sampler: {sampler.name} does not take {dict(sampler.arguments)}: {str(error).rstrip('.')}."
        ) from error


def _with_list(kind: type[keras_tuner.Oracle], spec: StudySpec) -> type[keras_tuner.Oracle]:
    """The tuner, which first proposes the points that the spec lists: the enqueued ones and, for a grid, all its points."""
    wanted = list_first(spec)  # a grid's points too: Keras Tuner's own forgets its position on a restart

    class Listed(kind):
        given: tuple[dict[str, Value], ...] = ()  # the wanted points given so far; part of the state

        def populate_space(self, trial_id: str) -> dict[str, Any]:
            point = next((point for point in wanted if point not in self.given), None)
            grid = kind is keras_tuner.Oracle
            if point is None and grid:
                return {"status": "STOPPED"}
            answer: dict[str, Any] = {"status": "RUNNING", "values": {}} if grid else super().populate_space(trial_id)
            if point is None or answer["status"] != "RUNNING" or f"{OWN}trial_id" in answer["values"]:
                return answer
            self.given = (*self.given, point)
            rng = random.Random(f"{spec.search.seed}/{trial_id}")
            drawn = walk(spec.space, lambda p: point[p.name] if p.name in point else draw(p, rng))
            own = {key: value for key, value in answer["values"].items() if key.startswith(OWN)}
            return {**answer, "values": {**_keep_searched(drawn, spec.space), **own}}

        def get_state(self) -> dict[str, Any]:
            return {**super().get_state(), "given": self.given}

        def set_state(self, state: dict[str, Any]) -> None:
            super().set_state(state)
            self.given = tuple(state["given"])

    return Listed


def _keep_searched(values: Mapping[str, Value], space: Space) -> dict[str, Value]:
    """The values of the searched parameters alone, as Keras Tuner has them: it knows no others, and true is 1 in choices."""
    names = {parameter.name for parameter in space.searched}
    return {name: int(value) if isinstance(value, bool) else value for name, value in values.items() if name in names}
