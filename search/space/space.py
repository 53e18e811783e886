"""The space of a study: float, int, choice and fixed parameters, conditions between them, and the walk that visits them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol

from ..errors import StudyError
from .conditions import Condition, Value, holds
from .parameters import Choice, Fixed, Float, Int, Parameter


@dataclass(frozen=True)
class Space:
    """The declared parameters, in the order of the study file; a condition names only earlier ones."""

    parameters: tuple[Parameter, ...] = ()

    def __post_init__(self) -> None:
        above: dict[str, Parameter] = {}
        for parameter in self.parameters:
            for condition in parameter.when:
                if condition.name not in above:
                    raise StudyError(
                        f"space.{parameter.name}.when: {condition.name!r} is not declared above it; "
                        f"declared so far: {', '.join(sorted(above)) or 'nothing'}. Move it up or correct the name."
                    )
                if why := _explain_never(condition, above[condition.name]):
                    raise StudyError(f"space.{parameter.name}.when: {why}.")
            above[parameter.name] = parameter

    @property
    def searched(self) -> tuple[Parameter, ...]:
        """The parameters that an engine samples."""
        return tuple(p for p in self.parameters if not isinstance(p, Fixed))


class Suggester(Protocol):
    """Picks a value for one parameter: an engine's trial, or a rule such as `smallest`."""

    def __call__(self, parameter: Float | Int | Choice, /) -> Value: ...


def _explain_never(condition: Condition, parent: Parameter) -> str:
    """Why the condition can never hold: its value is no choice of its parameter, or cannot be compared; otherwise empty.

    One that never holds for another reason is no mistake: you may have narrowed the range that it compares with.
    """
    by_value = condition.op in ("==", "!=", "in")
    if isinstance(parent, Fixed) and by_value:
        return ""
    if isinstance(parent, Choice) and by_value:
        never = [value for value in condition.values if value not in parent.choices]
        named, choices = (json.dumps(values, default=str) for values in (never[:1], parent.choices))
        return f"{condition.name!r} is never {named[1:-1]}; its choices are {choices}" if never else ""
    values = parent.choices if isinstance(parent, Choice) else _ends(parent)
    numbers = all(isinstance(value, (int, float)) for value in (*values, *condition.values))
    return "" if numbers else f"'{condition}' compares a number with a text"


def _ends(parameter: Float | Int | Fixed) -> tuple[Value, ...]:
    return (parameter.value,) if isinstance(parameter, Fixed) else (parameter.low, parameter.high)


def walk(space: Space, suggest: Suggester) -> dict[str, Value]:
    """Visit the declarations in order and return the active parameters' values, by name."""
    values: dict[str, Value] = {}
    for parameter in space.parameters:
        if holds(parameter.when, values):
            values[parameter.name] = parameter.value if isinstance(parameter, Fixed) else suggest(parameter)
    return values
