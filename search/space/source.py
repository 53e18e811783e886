"""Where a trial's values come from: parameters that a study file or a model declares, or a function (function.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from .conditions import Value
from .parameters import Choice, Fixed, Float, Int, Parameter, check_distinct, normalize
from .points import count_points
from .rules import largest, smallest
from .space import Space, walk

if TYPE_CHECKING:
    import optuna

Values = dict[str, Value]  # of a trial, by name


class SpaceSource(Protocol):
    """What a search asks of its space, whether a file, a model or a function declares it."""

    @property
    def declared(self) -> bool:
        """Whether it consists of declared parameters: you can list and enqueue those, and any engine searches them."""

    @property
    def known(self) -> bool:
        """Whether the study file alone declares all of it."""

    @property
    def varies(self) -> bool:
        """Whether trials can differ in their values."""

    @property
    def searched(self) -> tuple[Parameter, ...]:
        """The searched parameters, if they are declared."""

    @property
    def role(self) -> str:
        """What a value in it is, for a message: "in [space] (searched)"."""

    @property
    def field(self) -> str:
        """The field of the study file that holds it."""

    def describe(self) -> str:
        """The source in a few words."""

    def digest(self) -> str:
        """The SHA-256 of the code that is the space; empty if there is none."""

    def names(self) -> set[str]:
        """Every name that it may give a value to."""

    def ends(self) -> tuple[Values, Values]:
        """The values of the smallest and of the largest model."""

    def samples(self) -> Iterator[Values]:
        """Values to check before a search. Raises StudyError if it cannot be searched as it is."""

    def count(self) -> int | None:
        """How many points it has; None if they cannot be listed."""

    def draw(self, trial: optuna.Trial) -> Values | None:
        """The trial's values; None if it forbids what Optuna drew. Raises StudyError if it fails."""

    def show(self, trials: Sequence[Mapping[str, str]]) -> Space:
        """The space for plots and tables, given the trials' values as text."""


@dataclass(frozen=True)
class DeclaredSpace:
    """The parameters of [space]."""

    space: Space
    declared = known = True
    role = "in [space] (searched)"
    field = "space"

    @property
    def varies(self) -> bool:
        return bool(self.space.searched)

    @property
    def searched(self) -> tuple[Parameter, ...]:
        return self.space.searched

    def describe(self) -> str:
        return f"{len(self.space.searched)} searched parameter{'s' * (len(self.space.searched) != 1)}"

    def digest(self) -> str:
        return ""

    def names(self) -> set[str]:
        return {parameter.name for parameter in self.space.parameters}

    def ends(self) -> tuple[Values, Values]:
        return walk(self.space, smallest), walk(self.space, largest)

    def samples(self) -> Iterator[Values]:
        for parameter in self._own():
            if isinstance(parameter, Choice):
                check_distinct(parameter)
                ends: tuple[Value, ...] = parameter.choices
            else:
                ends = (parameter.value,) if isinstance(parameter, Fixed) else (parameter.low, parameter.high)
            yield from ({parameter.name: value} for value in ends)

    def count(self) -> int | None:
        return count_points(self.space)

    def draw(self, trial: optuna.Trial) -> Values | None:
        return walk(self.space, lambda parameter: _suggest(trial, parameter))

    def show(self, trials: Sequence[Mapping[str, str]]) -> Space:
        return self.space

    def _own(self) -> tuple[Parameter, ...]:
        """The parameters that the study file itself declares."""
        return self.space.parameters


@dataclass(frozen=True)
class ModelSpace(DeclaredSpace):
    """The parameters that a Keras Tuner model declares by its hp, once it has been called, and those of [space]."""

    by_model: tuple[str, ...]
    known = False

    @property
    def varies(self) -> bool:
        return True

    def _own(self) -> tuple[Parameter, ...]:
        return tuple(parameter for parameter in self.space.parameters if parameter.name not in self.by_model)


def _suggest(trial: optuna.Trial, parameter: Float | Int | Choice) -> Value:
    if isinstance(parameter, Choice):
        return cast("Value", trial.suggest_categorical(parameter.name, parameter.choices))
    if isinstance(parameter, Int):
        return trial.suggest_int(parameter.name, parameter.low, parameter.high, log=parameter.log, step=parameter.step or 1)
    value = trial.suggest_float(parameter.name, parameter.low, parameter.high, log=parameter.log, step=parameter.step)
    return normalize(parameter, value)
