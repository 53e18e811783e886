"""The study file as frozen records, resolved and checked once; everything downstream reads these."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..space.conditions import Value
from ..space.parameters import Float, Int, Parameter
from ..space.space import Space
from .goal import Constraint, Goal, Objective


@dataclass(frozen=True)
class Component:
    """A sampler or pruner by name, with its arguments."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchPlan:
    """How the space is searched, and the budgets: trials, epochs a trial, epochs and seconds in all.

    It ends early when `patience` trials in a row bring nothing better, or when one reaches the objective's `target`.
    With `defaults_first` it begins with what the model would train with if nothing were searched, where no point is enqueued.
    """

    engine: str = "optuna"
    sampler: Component = Component("tpe")
    pruner: Component = Component("none")
    trials: int = 20
    max_epochs: int = 10
    epochs: int | None = None
    timeout: float | None = None
    patience: int | None = None
    target: float | None = None
    defaults_first: bool = True
    seed: int = 0
    keep_models: int = 5
    retries: int = 2


@dataclass(frozen=True)
class DataPlan:
    """How the data set is cut. A split is a count (int) or a fraction (float) of the images that it is cut from."""

    splits: Mapping[str, int | float] = field(default_factory=dict)
    image_size: tuple[int, int] | None = None
    seed: int = 0


@dataclass(frozen=True)
class WorkersPlan:
    """The worker processes, TensorFlow threads in each, and whether they hold the images in memory or stream them.

    None leaves it to the machine's cores and memory. A worker that is silent for `grace` seconds is given up.
    """

    count: int | None = None
    threads: int | None = None
    in_memory: bool | None = None
    grace: float = 60.0


APIS = ("tailor", "keras-tuner")


@dataclass(frozen=True)
class Found:
    """What a study file does not say and Tailor finds out: the names that a Keras Tuner model declares by its hp, and the
    SHA-256 of the file that holds the function which is the space.
    """

    declared: tuple[str, ...] = ()
    space_sha256: str = ""


@dataclass(frozen=True)
class StudySpec:
    """A whole study. `others` are the objectives after the first, which steers each trial.

    `api` says what `model` names: a factory, or a `build(hp)` or HyperModel of Keras Tuner's. `training` holds the fixed
    training options and hyperparameters by name, checked by the room `models`; `enqueue` the points that are tried before
    the sampler's own, each with values for some or all searched parameters. `by_run` names a function that suggests and
    returns each trial's values, in the place of a space (by_run.py).
    """

    name: str
    dataset: str
    model: str
    objective: Objective
    search: SearchPlan = SearchPlan()
    space: Space = field(default_factory=Space)
    training: Mapping[str, Any] = field(default_factory=dict)
    data: DataPlan = DataPlan()
    workers: WorkersPlan = WorkersPlan()
    enqueue: tuple[Mapping[str, Value], ...] = ()
    others: tuple[Objective, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    api: str = APIS[0]
    by_run: str = ""
    found: Found = Found()

    @property
    def declares(self) -> bool:
        """Whether the model declares its hyperparameters itself, so that the space is known when it has been called."""
        return self.api == "keras-tuner"

    @property
    def goal(self) -> Goal:
        """What it is after, in one record."""
        return Goal((self.objective, *self.others), self.constraints)

    def tables(self) -> dict[str, Any]:
        """The spec as a study file's tables, every default written out: `load.build` makes the same spec of them."""
        search, data = dataclasses.asdict(self.search), dataclasses.asdict(self.data)
        for key in ("sampler", "pruner"):
            component: Component = getattr(self.search, key)
            search[key] = {"name": component.name, **component.arguments}
        plain = {
            "study": {
                "name": self.name,
                "dataset": self.dataset,
                "model": self.model,
                "api": self.api,
                **({"space": self.by_run} if self.by_run else {}),
                **self._goal_tables(),
            },
            "search": _given(search),
            "space": {parameter.name: _declaration(parameter) for parameter in self.space.parameters},
            "training": dict(self.training),
            "data": _given(data),
            "workers": _given(dataclasses.asdict(self.workers)),
            "enqueue": [dict(point) for point in self.enqueue],
            "found": {key: value for key, value in vars(self.found).items() if value},
        }
        return json.loads(json.dumps(plain))

    def _goal_tables(self) -> dict[str, Any]:
        constraints = {"constraints": [str(constraint) for constraint in self.constraints]} if self.constraints else {}
        if self.others:
            return {"objectives": [dataclasses.asdict(objective) for objective in self.goal.objectives], **constraints}
        return {"objective": self.objective.metric, "direction": self.objective.direction, **constraints}

    def identity(self) -> dict[str, Any]:
        """What makes it the same study on resume: everything but its name, budgets, workers, first points and rules of search.

        The engine belongs to it, and so do Keras Tuner's tuner and rounds: what one remembers another cannot read.
        """
        tables = self.tables()
        del tables["study"]["name"]
        for declared in tables["space"].values():
            declared.pop("default", None)
        fixed = ["engine"]
        if self.search.engine == "keras-tuner":
            fixed += ["sampler", *(["max_epochs"] if self.search.sampler.name == "hyperband" else [])]
        return {
            **{key: tables[key] for key in ("study", "space", "training", "data", "found")},
            "search": {key: tables["search"][key] for key in fixed},
        }

    def sha256(self) -> str:
        """A digest of the whole spec."""
        return hashlib.sha256(json.dumps(self.tables(), sort_keys=True).encode()).hexdigest()


def _declaration(parameter: Parameter) -> dict[str, Any]:
    plain = _given({key: value for key, value in vars(parameter).items() if key not in ("name", "when")})
    if isinstance(parameter, (Float, Int)):
        plain["type"] = type(parameter).__name__.lower()
    if parameter.when is not None:
        plain["when"] = str(parameter.when)
    return plain


def _given(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}
