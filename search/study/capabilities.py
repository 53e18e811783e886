"""What each engine offers, and what it cannot do: found when a study file is read, before anything heavy loads. Pure."""

from __future__ import annotations

import random
from collections.abc import Mapping

from ..errors import StudyError
from ..space.conditions import Value, holds
from ..space.parameters import Choice, Fixed, Float, Int
from ..space.points import list_points
from ..space.space import Space
from .goal import EPOCH_METRICS, OBJECTIVES
from .key_values import Component
from .spec import StudySpec

NO_PRUNER = Component("none")
HALVING = "successive-halving"
REDUCTION = 3  # halving's factor, where nobody gives one
LISTED = ("grid", "brute-force")  # samplers that give out every point of a finite space, once
FROM_WHOLE = ("gp", "cmaes", "nsgaii")  # samplers that learn from whole trials alone, and ignore pruned ones
CLASSES = {  # Optuna's, and their names here
    "optuna.samplers:GPSampler": "gp",
    "optuna.samplers:CmaEsSampler": "cmaes",
    "optuna.samplers:NSGAIISampler": "nsgaii",
    "optuna.samplers:GridSampler": "grid",
    "optuna.samplers:BruteForceSampler": "brute-force",
}
# What Tailor itself gives to Keras Tuner's tuners, and the study file's key for it, if there is one.
GIVEN = {
    "objective": "study.objective",
    "max_trials": "search.trials",
    "max_epochs": "search.max_epochs",
    "max_retries_per_trial": "search.retries",
    "max_consecutive_failed_trials": "",
    "hyperparameters": "[space]",
    "allow_new_entries": "",
    "tune_new_entries": "",
}


def known_as(sampler: str) -> str:
    """The short name of an Optuna class, which has the same limits; any other name unchanged."""
    return CLASSES.get(sampler, sampler)


def first_look(max_epochs: int) -> int:
    """The epoch after which the default pruner first compares trials: a tenth of the longest trial, but at least one."""
    return max(1, max_epochs // 10)


def usual_pruner(spec: StudySpec) -> Component:
    """The pruner of a study that names none: the soonest that we measured (docs/decisions.md), or none.

    None if every trial runs whole: in a list of points, if nothing is searched, or for a sampler that learns from whole trials
    alone. None with constraints: they are known only at a trial's end, and trials that break them would push out those that
    keep them.
    """
    steered = spec.objective.by_epoch and not spec.others and not spec.constraints
    wants_whole = known_as(spec.search.sampler.name) in LISTED + FROM_WHOLE
    if spec.search.engine != "optuna" or wants_whole or not spec.source.varies or not steered:
        return NO_PRUNER
    return Component(HALVING, {"min_resource": first_look(spec.search.max_epochs)})


def explain_pruner(spec: StudySpec) -> str:
    """A line about the pruner, with the epoch after which halving first looks; empty if nothing is pruned."""
    pruner, longest = spec.search.pruner, spec.search.max_epochs
    if pruner == NO_PRUNER:
        return ""
    if pruner.name != HALVING:
        return f"pruner: {pruner.name}"
    arguments = {"min_resource": 1, "reduction_factor": REDUCTION, "min_early_stopping_rate": 0, **pruner.arguments}
    if not isinstance(arguments["min_resource"], int):  # as Optuna reads it
        return "pruner: successive halving, first look by the epochs of whole trials"
    look = arguments["min_resource"] * arguments["reduction_factor"] ** arguments["min_early_stopping_rate"]
    if look >= longest:
        return f"pruner: successive halving, which prunes nothing: the first look would be after epoch {look} of {longest}"
    return f"pruner: successive halving, first look after epoch {look} of {longest}"


def continues(spec: StudySpec) -> bool:
    """Whether trials begin with the weights of earlier ones."""
    return (spec.search.engine, spec.search.sampler.name) == ("keras-tuner", "hyperband")


def order_points(spec: StudySpec) -> list[dict[str, Value]]:
    """The points of a finite space, searched parameters alone, in the order in which every engine proposes them: as they
    stand, or shuffled for a grid, so that a budget below its size still spreads over it.
    """
    names = {parameter.name for parameter in spec.space.searched}
    found = [{name: value for name, value in point.items() if name in names} for point in list_points(spec.space)]
    if spec.search.sampler.name == "grid":
        random.Random(spec.search.seed).shuffle(found)
    return found


def _drop_inactive(spec: StudySpec, point: Mapping[str, Value]) -> dict[str, Value]:
    """The point without values of parameters that its other values rule out."""
    known = {**{one.name: one.value for one in spec.space.parameters if isinstance(one, Fixed)}, **point}
    when = {one.name: one.when for one in spec.space.parameters}
    return {
        name: value
        for name, value in point.items()
        if all(condition.name not in known or condition.holds(known) for condition in when[name])
    }


def list_first(spec: StudySpec) -> list[dict[str, Value]]:
    """The points that every engine tries before the sampler's own: the enqueued ones, and all others of a finite list."""
    first = [dict(point) for point in spec.enqueue]
    if spec.search.sampler.name not in LISTED:
        return first
    left, begun = order_points(spec), list[dict[str, Value]]()
    for point in (_drop_inactive(spec, one) for one in first):  # what it leaves out, the list gives: no trial stands there twice
        found = next((one for one in (*left, *begun) if point.items() <= one.items()), point)
        if found not in begun:
            begun.append(found)
        left = [one for one in left if one != found]
    return begun + left


def count_trials(spec: StudySpec, begun: int = 0) -> int:
    """How many trials the search may have: its budget, but at most the points of a finite list, or what has begun.

    More than the points begin if another sampler had some: only the engine knows how many are `left`.
    """
    if spec.search.sampler.name not in LISTED or not (spec.source.known or spec.found.declared):
        return spec.search.trials  # the model is yet to be called, for its space
    return min(spec.search.trials, max(begun, len(list_first(spec))))


def explain_repeats(spec: StudySpec) -> str:
    """A line about a search with more trials than points, if its sampler proposes points again; otherwise empty."""
    if spec.search.engine != "optuna" or known_as(spec.search.sampler.name) in LISTED or not spec.space.searched:
        return ""
    count = spec.source.count()
    if count is None or count >= spec.search.trials:
        return ""
    return (
        f"[space] has {count} point{'s' * (count > 1)} and the search {spec.search.trials} trials: "
        f'{spec.search.sampler.name} proposes points again; with sampler = "grid" each is tried once.'
    )


def check(spec: StudySpec) -> None:
    """Raise StudyError for what the spec's engine cannot do; it names one that can."""
    if spec.search.sampler.name in LISTED and spec.search.sampler.arguments:
        taken = ", ".join(spec.search.sampler.arguments)
        raise StudyError(f"search.sampler: {spec.search.sampler.name} takes no arguments, got {taken}; leave them out.")
    if spec.search.pruner.name != "none" and not spec.objective.by_epoch:
        others = ", ".join(name for name in EPOCH_METRICS if name in OBJECTIVES)
        raise StudyError(
            f"search.pruner: {spec.objective.metric} is known at a trial's end only, and nothing can be pruned by it; leave the "
            f"pruner out, or steer by one of {others}."
        )
    if spec.others and spec.search.pruner.name != "none":
        raise StudyError("search.pruner: with several objectives nothing can be pruned; leave it out, or keep one objective.")
    if known_as(spec.search.sampler.name) == "cmaes":
        if spec.others:
            raise StudyError("search.sampler: cmaes knows one objective; with several use tpe, nsgaii, random or grid.")
        if spec.constraints:
            raise StudyError("search.sampler: cmaes knows no constraints; with them use tpe, nsgaii or gp.")
    if spec.search.engine == "keras-tuner":
        _check_keras_tuner(spec)
    if not spec.source.declared:
        _check_undeclared(spec)


def _check_keras_tuner(spec: StudySpec) -> None:
    """Refuse what Keras Tuner does not know, and arguments of its tuners that a study file cannot give."""
    if spec.others or spec.constraints:
        raise StudyError("study: keras-tuner knows one objective and no constraints; use engine optuna.")
    for name in spec.search.sampler.arguments:
        if name in GIVEN:
            meant = f"; {GIVEN[name]} is meant" if GIVEN[name] else ""
            raise StudyError(f"search.sampler.{name}: Tailor gives it to Keras Tuner itself{meant}, leave it out.")


def _check_undeclared(spec: StudySpec) -> None:
    """Refuse what cannot stand beside a space that a function declares."""
    if spec.compiled:
        raise StudyError("study.space: with api keras-tuner the model declares what is searched; leave one of the two out.")
    if spec.space.parameters:
        raise StudyError("study.space: the function is the space; leave [space] out, or study.space.")
    if spec.search.engine != "optuna":
        raise StudyError(
            f"study.space: {spec.search.engine} takes declared spaces only; use engine optuna, which calls the function."
        )
    if spec.search.sampler.name in LISTED:
        raise StudyError(
            f"search.sampler: {spec.search.sampler.name} needs a declared [space]; with study.space use tpe or random."
        )
    if spec.enqueue:
        raise StudyError("enqueue: points are of a declared [space]; leave them out, or study.space.")


def check_space(spec: StudySpec) -> None:
    """Raise StudyError for a whole space that the spec's engine or sampler cannot search; it names one that can."""
    if spec.search.engine == "keras-tuner":
        _check_keras_tuner_space(spec)
    elif known_as(spec.search.sampler.name) == "cmaes" and spec.space.searched and not _has_range(spec.space):
        raise StudyError(
            "search.sampler: cmaes learns ranges of numbers that every trial has, and [space] has none; use tpe, nsgaii or gp."
        )


def _has_range(space: Space) -> bool:
    """Whether every trial has some range of numbers."""
    fixed: dict[str, Value] = {}
    for parameter in space.parameters:
        if not holds(parameter.when, fixed):
            continue
        if isinstance(parameter, Fixed):
            fixed[parameter.name] = parameter.value
        elif not isinstance(parameter, Choice) and parameter.low < parameter.high:
            return True
    return False


def _check_keras_tuner_space(spec: StudySpec) -> None:
    """Refuse what Keras Tuner cannot search."""
    if not spec.space.searched:
        raise StudyError("search.engine: keras-tuner proposes no point twice, so it cannot repeat one; use engine optuna.")
    declared = {parameter.name: parameter for parameter in spec.space.parameters}
    for parameter in spec.space.searched:
        for parent in (declared[condition.name] for condition in parameter.when):
            if isinstance(parent, (Float, Int)) and not parent.step and (isinstance(parent, Float) or parent.log):
                raise StudyError(
                    f"space.{parameter.name}.when: keras-tuner knows conditions on listed values only, and {parent.name!r} has "
                    f"no list; give it choices{'' if parent.log else ' or a step'}, or use engine optuna."
                )
        if isinstance(parameter, Choice) and len({type(value) for value in parameter.choices}) > 1:
            raise StudyError(
                f"space.{parameter.name}.choices: keras-tuner takes values of one type, got {list(parameter.choices)}; "
                "use engine optuna."
            )
