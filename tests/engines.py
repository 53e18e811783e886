"""What the suites over the engines share: a space with all that it can hold, a grid, and engines opened on real storage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tailor.search.engines import open_engine
from tailor.search.engines.protocol import Engine, Outcome, Suggestion
from tailor.search.space.conditions import Condition
from tailor.search.space.parameters import Choice, Fixed, Float, Int
from tailor.search.space.space import Space
from tailor.search.study.goal import Objective
from tailor.search.study.spec import Component, SearchPlan, StudySpec

SPACE = Space(
    (
        Float("learning_rate", 1e-4, 1e-1, log=True),
        Float("dropout", 0.0, 0.5, step=0.1),
        Int("depth", 1, 4),
        Int("units_3", 16, 256, log=True, when=(Condition("depth", ">=", 3),)),
        Choice("optimizer", ("adam", "sgd")),
        Choice("batch_norm", (True, False)),
        Int("axis", 1, 3, when=(Condition("batch_norm", "==", True),)),
        Choice("mode", ("a", "b"), when=(Condition("axis", ">=", 2),)),
        Float("noise", 0.0, 1.0, when=(Condition("dropout", ">=", 0.3),)),
        Fixed("activation", "relu"),
    )
)
GRID = Space((Choice("lr", (1e-3, 1e-4)), Int("depth", 1, 3), Choice("u3", ("a", "b"), when=(Condition("depth", ">=", 3),))))
Open = Callable[..., Engine]


def opener(folder: Path, engine: str) -> Open:
    """Opens the study `contract` of that engine in the folder, again and again; a Component is a sampler with arguments."""

    def open_(
        sampler: str | Component = "random", pruner: str = "none", space: Space = SPACE, enqueue: tuple = (), **plan: int
    ) -> Engine:
        component = Component(sampler) if isinstance(sampler, str) else sampler
        if component.name == "gp":
            pytest.importorskip("torch", reason="Optuna's GPSampler needs torch")
        search = SearchPlan(engine=engine, sampler=component, pruner=Component(pruner), **plan)
        spec = StudySpec("contract", "digits", "mlp", Objective("val_accuracy", "maximize"), search, space, enqueue=enqueue)
        return open_engine(spec, f"sqlite:///{folder / 'studies.db'}", folder / "keras_tuner")

    return open_


def ask(engine: Engine) -> Suggestion:
    answer = engine.ask()
    assert isinstance(answer, Suggestion)
    return answer


def complete(engine: Engine, suggestion: Suggestion, value: float = 0.5) -> None:
    engine.tell(suggestion.trial, Outcome("complete", {"val_accuracy": value}))
