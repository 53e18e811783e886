"""Optuna's plots of a study, whichever engine ran it: its trials, read from MLflow, become an Optuna study in memory."""

from __future__ import annotations

import datetime
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from ..space.parameters import Choice, Float, Int
from ..study.spec import StudySpec
from .importance import Importance, create_study, measure_importance

STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "running": TrialState.RUNNING,
}
WIDEST = 4  # parameters in a slice plot, side by side
MOST_BARS = 500  # trials in a timeline, the newest; a bar each
MOST_ON_FRONT = 3  # objectives of a plot of the Pareto front, an axis each
FEWEST_DRAWN, FEWEST_IN_CONTOUR = 5, 10  # trials; with fewer, a plot of hyperparameters says nothing
LAST = "last"  # a trial's attribute: its last value, also if it was pruned


@dataclass(frozen=True)
class Told:
    """A trial: its hyperparameters as MLflow keeps them (text), values by metric and by epoch, start and end (ms).

    `values` are a complete trial's; `last` is the last value of the first objective, of a pruned one too.
    """

    trial: int
    status: str
    params: Mapping[str, str]
    values: Mapping[str, float]
    by_epoch: Mapping[int, float]
    start: int
    end: int
    last: float | None = None


def to_optuna(spec: StudySpec, told: Sequence[Told]) -> optuna.Study:
    """The trials as an Optuna study in memory."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = create_study(spec.name, [o.direction for o in spec.goal.objectives])
    if spec.others:
        with _calm():
            study.set_metric_names([objective.metric for objective in spec.goal.objectives])
    known = {one.trial: one for one in told if one.status in STATES}
    # Optuna numbers trials as they come: an unknown one keeps its place, or later ones would have wrong numbers.
    study.add_trials(
        [
            _trial(spec, known[number]) if number in known else create_trial(state=TrialState.WAITING)
            for number in range(max(known, default=-1) + 1)
        ]
    )
    return study


def measure_importances(study: optuna.Study, told: Sequence[Told]) -> Importance:
    """What mattered among the trials, which come in the leaderboard's order: complete ones, best first, then the others."""
    places = [one.trial for one in told if one.status == "complete"]
    places += [one.trial for one in told if one.status == "pruned" and one.last is not None]
    with _calm():
        return measure_importance(study, places)


def draw_page(study: optuna.Study, mattered: Importance) -> str:
    """Optuna's plots as one interactive page, with plotly's script inside. Leaves out those with nothing to show."""
    from optuna import visualization

    drawn: dict[str, str] = {}
    with _calm():
        for name, plot in _wanted(study, mattered, visualization).items():
            with suppress(Exception):  # a plot that fails is left out alone
                drawn[name] = plot().to_html(full_html=False, include_plotlyjs=False, default_height=520)
    from plotly.offline import get_plotlyjs

    body = "\n".join(f"<h2>{name.replace('_', ' ')}</h2>{html}" for name, html in drawn.items())
    title = f"{study.study_name}: how the search went"
    return f'<!doctype html><meta charset="utf-8"><title>{title}</title><script>{get_plotlyjs()}</script><h1>{title}</h1>{body}'


def _wanted(study: optuna.Study, mattered: Importance, plots: Any) -> dict[str, Callable[[], Any]]:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    trials = study.get_trials(deepcopy=False)
    everything = _with_pruned(study)
    valued = everything.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    wanted: dict[str, Callable[[], Any]] = {}
    if trials:
        wanted["timeline"] = lambda: plots.plot_timeline(study, n_recent_trials=MOST_BARS)
    if any(trial.intermediate_values for trial in trials):
        wanted["intermediate_values"] = lambda: plots.plot_intermediate_values(study)
    if not complete:
        return wanted
    if mattered.shares and mattered.firm:
        wanted["parameter_importance"] = lambda: plots.plot_param_importances(
            mattered.study, evaluator=mattered.evaluator, target_name="being among the best"
        )
    several = len(study.directions) > 1
    # Of several objectives these show the first, which steers the trials; parallel coordinates have an axis for each.
    shown: dict[str, Any] = {"target": _first, "target_name": (study.metric_names or ["the objective"])[0]} if several else {}
    if several and len(study.directions) <= MOST_ON_FRONT:
        wanted["pareto_front"] = lambda: plots.plot_pareto_front(study)
    wanted["optimization_history"] = lambda: plots.plot_optimization_history(study, **shown)
    taken = dict.fromkeys(name for trial in valued for name in trial.params)
    if len(valued) < FEWEST_DRAWN:
        return wanted
    if names := sorted(taken, key=lambda name: -mattered.shares.get(name, 0.0)):
        wanted["slice"] = lambda: plots.plot_slice(everything, params=names[:WIDEST], **shown)
        wanted["parallel_coordinate"] = lambda: plots.plot_parallel_coordinate(everything, params=names)
        if len(names) > 1 and len(valued) >= FEWEST_IN_CONTOUR:
            wanted["contour"] = lambda: plots.plot_contour(everything, params=names[:2], **shown)
    return wanted


def _with_pruned(study: optuna.Study) -> optuna.Study:
    """The study with each pruned trial complete, at its last value. Of several objectives: as it is."""
    if len(study.directions) > 1:
        return study
    made = create_study(study.study_name, study.directions)
    made.add_trials([_complete(trial) for trial in study.get_trials(deepcopy=False)])
    return made


def _complete(trial: FrozenTrial) -> FrozenTrial:
    last = trial.user_attrs.get(LAST)
    if trial.state != TrialState.PRUNED or last is None:
        return trial
    return create_trial(value=last, params=trial.params, distributions=trial.distributions)


def _first(trial: FrozenTrial) -> float:
    return trial.values[0]


class _calm(warnings.catch_warnings):
    """Silences Optuna's plots, which warn at each call that they are experimental."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")
        logging.getLogger("optuna").setLevel(logging.ERROR)


def _trial(spec: StudySpec, told: Told) -> FrozenTrial:
    distributions: dict[str, BaseDistribution] = {}
    params: dict[str, Any] = {}
    for parameter in spec.space.searched:
        if parameter.name not in told.params:
            continue
        text = told.params[parameter.name]
        if isinstance(parameter, Choice):
            if chosen := [value for value in parameter.choices if str(value) == text]:
                distributions[parameter.name] = CategoricalDistribution(parameter.choices)
                params[parameter.name] = chosen[0]
        elif isinstance(parameter, Int):
            distributions[parameter.name] = IntDistribution(
                parameter.low, parameter.high, parameter.log, 1 if parameter.step is None else parameter.step
            )
            params[parameter.name] = int(text)
        elif isinstance(parameter, Float):
            distributions[parameter.name] = FloatDistribution(parameter.low, parameter.high, parameter.log, parameter.step)
            params[parameter.name] = float(text)
    trial = create_trial(
        state=STATES[told.status],
        values=[told.values[o.metric] for o in spec.goal.objectives] if told.status == "complete" else None,
        params=params,
        distributions=distributions,
        intermediate_values=dict(told.by_epoch),
        user_attrs={} if told.last is None else {LAST: told.last},
    )
    if told.status == "complete":
        for constraint in spec.constraints:
            trial.set_constraint(str(constraint), constraint.violation(told.values))
    trial.datetime_start = _local(told.start)
    trial.datetime_complete = None if told.status == "running" else _local(told.end)
    return trial


def _local(ms: int) -> datetime.datetime:
    """A moment as Optuna stores it: the local time, without a zone."""
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).astimezone().replace(tzinfo=None)
