"""Optuna's samplers and pruners, made from a plan: by short name, or a custom class by reference."""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import optuna

from .. import references
from ..errors import StudyError, unknown
from ..study.capabilities import HALVING, LISTED, REDUCTION, known_as
from ..study.key_values import Component
from ..study.sections import SearchPlan
from .bounded import BoundedTPE

# What Tailor sets beside Optuna's defaults; a study file's arguments win.
SAMPLERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    # Without `group` a conditional parameter silently leaves the joint sampling.
    "tpe": ("TPESampler", {"multivariate": True, "group": True, "constant_liar": True}),
    "random": ("RandomSampler", {}),
    "gp": ("GPSampler", {}),
    "cmaes": ("CmaEsSampler", {}),
    "qmc": ("QMCSampler", {"scramble": True}),  # without it the seed has no effect, and one point is all low ends
    "nsgaii": ("NSGAIISampler", {}),
}
QUIET = {"warn_independent_sampling": False, "warn_asynchronous_seeding": False}
PRUNERS: Mapping[str, str] = {
    "none": "NopPruner",
    "median": "MedianPruner",
    "percentile": "PercentilePruner",
    "successive-halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
    "threshold": "ThresholdPruner",
    "patient": "PatientPruner",
    "wilcoxon": "WilcoxonPruner",
}


def make_sampler(plan: SearchPlan, seed: int) -> optuna.samplers.BaseSampler:
    """The plan's sampler with that seed. Raises StudyError for arguments that Optuna refuses."""
    name = "random" if plan.sampler.name in LISTED else plan.sampler.name  # draws what is not listed
    if known_as(name) == "gp" and importlib.util.find_spec("torch") is None:  # Optuna misses it only after some random trials
        raise StudyError(f"search.sampler: {name} needs torch, which is not installed; pip install torch, or take another one.")
    class_name, defaults = SAMPLERS.get(name, (name, {}))
    kind = BoundedTPE if name == "tpe" else _find_class("search.sampler", class_name, optuna.samplers)
    if _is(kind, optuna.samplers.QMCSampler):  # draws what its first trial had no value for, anew at each ask
        defaults = {**QUIET, **defaults, "independent_sampler": optuna.samplers.RandomSampler(seed=seed)}
    if _is(kind, optuna.samplers.QMCSampler, optuna.samplers.GridSampler):
        seed = plan.seed  # one order for the whole study; the storage keeps the position
    arguments = {"seed": seed, **defaults, **plan.sampler.arguments}
    return _make("search.sampler", kind, optuna.samplers.BaseSampler, plan.sampler, arguments)


def make_pruner(plan: SearchPlan) -> optuna.pruners.BasePruner:
    """The plan's pruner; epochs are its steps, from 1. Raises StudyError for arguments that Optuna refuses."""
    name, arguments = plan.pruner.name, dict(plan.pruner.arguments)
    if name == "hyperband":
        arguments = {"min_resource": 1, "max_resource": plan.max_epochs, **arguments}
    if name == HALVING:
        arguments = {"min_resource": 1, "reduction_factor": REDUCTION, **arguments}
    if name == "percentile":
        arguments = {"percentile": 25.0, **arguments}
    if name == "patient":
        inner = arguments.pop("wrapped", "none")
        if not isinstance(inner, str) or (inner not in PRUNERS and ":" not in inner):
            raise unknown("search.pruner.wrapped", str(inner), PRUNERS)
        wrapped = make_pruner(dataclasses.replace(plan, pruner=Component(inner)))
        arguments = {"wrapped_pruner": wrapped if inner != "none" else None, "patience": 2, **arguments}
    kind = _find_class("search.pruner", PRUNERS.get(name, name), optuna.pruners)
    return _make("search.pruner", kind, optuna.pruners.BasePruner, plan.pruner, arguments)


def _find_class(field: str, name: str, home: types.ModuleType) -> Callable[..., Any]:
    """An Optuna class by name, or a custom class by reference."""
    if ":" not in name:
        return getattr(home, name)
    return references.find(field, name)[0]


def _is(kind: Callable[..., Any], *classes: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, classes)


def _make(field: str, kind: Callable[..., Any], expected: type, component: Component, arguments: Mapping[str, Any]) -> Any:
    """An instance of the class, made with the arguments that it takes. Raises StudyError, whatever a custom class raises."""
    name = component.name
    try:
        taken = {*inspect.signature(kind).parameters, *component.arguments}  # a custom class may take fewer than Tailor offers
        arguments = {key: value for key, value in arguments.items() if key in taken}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            made = kind(**arguments)
    except Exception as error:
        raise StudyError(f"{field}: {name} does not take {dict(component.arguments)}: {str(error).rstrip('.')}.") from error
    if not isinstance(made, expected):
        raise StudyError(
            f"{field}: expected a class that is an optuna {expected.__name__}; {name!r} makes a {type(made).__name__}."
        )
    return made
