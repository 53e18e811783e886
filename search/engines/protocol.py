"""The Engine protocol: what the coordinator needs of anything that proposes hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ..space.conditions import Value

Status = Literal["complete", "pruned", "failed"]


@dataclass(frozen=True)
class Suggestion:
    """A trial to run: its number, its hyperparameters, and the epochs that it is granted.

    `continues` names an earlier trial: this one begins with its weights, after `epochs_done` of those epochs. `seed` is None
    if it follows from the study's seed and the number. With `last_epoch`, the trial ends after that epoch and keeps its weights,
    whichever epoch is best.
    """

    trial: int
    hparams: Mapping[str, Value]
    epochs: int
    continues: int | None = None
    epochs_done: int = 0
    seed: int | None = None
    last_epoch: int | None = None


@dataclass(frozen=True)
class Wait:
    """Nothing to propose until a running trial is told."""


@dataclass(frozen=True)
class Done:
    """Nothing more to propose, and why. `spent`: nor would there be with a larger budget."""

    reason: str
    spent: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a trial ended. `values` holds a complete trial's values of the goal, by metric; `reason` says why it is none."""

    status: Status
    values: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class Record:
    """A told trial as the engine remembers it; `values` as in its Outcome."""

    trial: int
    hparams: Mapping[str, Value]
    outcome: Outcome


class Engine(Protocol):
    """Proposes trials and learns from them. One coordinator drives it; `ask` and `tell` persist before they return."""

    def ask(self) -> Suggestion | Wait | Done:
        """The next trial, or why there is none."""

    def report(self, trial: int, epoch: int, values: Mapping[str, float]) -> bool:
        """Take the metrics after an epoch (from 1); True asks to stop the trial."""

    def replay(self, trial: int, epoch: int, values: Mapping[str, float]) -> None:
        """Take the metrics of an epoch that an earlier attempt trained: others compare with it, and it is not judged again."""

    def tell(self, trial: int, outcome: Outcome) -> None:
        """End a trial. Raises KeyError for a trial that was never asked or was told before."""

    def unfinished(self) -> list[Suggestion]:
        """The trials asked and not told, in order: after a crash, those to run again."""

    def records(self) -> list[Record]:
        """The told trials, in order."""

    def left(self) -> int | None:
        """How many points of the sampler's list no trial has begun with; None if it has no list."""
