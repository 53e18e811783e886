"""The study file as frozen records, resolved and checked once; everything downstream reads these."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..space.conditions import Value, write_when
from ..space.function import FunctionSpace
from ..space.parameters import Float, Int, Parameter
from ..space.source import DeclaredSpace, ModelSpace, SpaceSource
from ..space.space import Space
from .goal import Constraint, Goal, Objective
from .key_values import APIS, Component
from .sections import DataPlan, Found, PromotionPlan, SearchPlan, WorkersPlan


@dataclass(frozen=True)
class StudySpec:
    """A whole study. `others` are the objectives after the first, which steers each trial.

    `api` says what `model` names: a factory, or a Keras Tuner `build(hp)` or HyperModel. `training` holds the fixed
    training options and hyperparameters by name, checked by the room `models`; `enqueue` the points that are tried before
    the sampler's own, each with values for some or all searched parameters. `by_run` names a function that suggests and
    returns each trial's values, instead of a space.
    """

    name: str
    dataset: str
    model: str
    objective: Objective
    search: SearchPlan = field(default_factory=SearchPlan)
    space: Space = field(default_factory=Space)
    training: Mapping[str, Any] = field(default_factory=dict)
    data: DataPlan = field(default_factory=DataPlan)
    workers: WorkersPlan = field(default_factory=WorkersPlan)
    promotion: PromotionPlan = field(default_factory=PromotionPlan)
    enqueue: tuple[Mapping[str, Value], ...] = ()
    others: tuple[Objective, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    api: str = APIS[0]
    by_run: str = ""
    found: Found = field(default_factory=Found)

    @property
    def compiled(self) -> bool:
        """Whether the model comes compiled, with its own optimizer and loss."""
        return self.api == "keras-tuner"

    @property
    def source(self) -> SpaceSource:
        """Where each trial's values come from."""
        if self.by_run:
            return FunctionSpace(self.by_run, self.found.space_sha256)
        return ModelSpace(self.space, self.found.declared) if self.compiled else DeclaredSpace(self.space)

    @property
    def goal(self) -> Goal:
        """Its objectives and constraints, in one record."""
        return Goal((self.objective, *self.others), self.constraints)

    def tables(self) -> dict[str, Any]:
        """The spec as a study file's tables: `load.build` makes the same spec from them.

        Every default is written out but those of [promotion], which came later: a study keeps its digest.
        """
        search, data = dataclasses.asdict(self.search), dataclasses.asdict(self.data)
        for key in ("sampler", "pruner"):
            component: Component = getattr(self.search, key)
            search[key] = {"name": component.name, **component.arguments}
        plain: dict[str, Any] = {
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
        if self.promotion != PromotionPlan():
            plain["promotion"] = _given(dataclasses.asdict(self.promotion))
        return json.loads(json.dumps(plain))

    def _goal_tables(self) -> dict[str, Any]:
        constraints = {"constraints": [str(constraint) for constraint in self.constraints]} if self.constraints else {}
        if self.others:
            return {"objectives": [dataclasses.asdict(objective) for objective in self.goal.objectives], **constraints}
        return {"objective": self.objective.metric, "direction": self.objective.direction, **constraints}

    def identity(self) -> dict[str, Any]:
        """What makes it the same study on resume: everything but its name, budgets, workers, first points and rules of search.

        The engine belongs to it, and so do Keras Tuner's tuner and rounds: one cannot read another's state.
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
    if parameter.when:
        plain["when"] = write_when(parameter.when)
    return plain


def _given(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}
