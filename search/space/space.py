"""The space of a study: float, int, choice and fixed parameters, conditions between them, and the walk that visits them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol

from ..errors import StudyError
from .conditions import Condition, Value
from .parameters import Choice, Fixed, Float, Int, Parameter


@dataclass(frozen=True)
class Space:
    """The declared parameters, in the order of the study file; a condition looks only backwards."""

    parameters: tuple[Parameter, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for parameter in self.parameters:
            if parameter.when is not None and parameter.when.name not in seen:
                raise StudyError(
                    f"space.{parameter.name}.when: {parameter.when.name!r} is not declared above it; "
                    f"declared so far: {', '.join(sorted(seen)) or 'nothing'}. Move it up or correct the name."
                )
            seen.add(parameter.name)
        declared = {parameter.name: parameter for parameter in self.parameters}
        for parameter in self.parameters:
            if parameter.when is not None and (said := _never(parameter.when, declared[parameter.when.name])):
                raise StudyError(f"space.{parameter.name}.when: {said}.")

    @property
    def searched(self) -> tuple[Parameter, ...]:
        """The parameters that an engine samples."""
        return tuple(p for p in self.parameters if not isinstance(p, Fixed))


class Suggester(Protocol):
    """Whoever picks a value for one parameter: an engine's trial, or a rule such as `smallest`."""

    def __call__(self, parameter: Float | Int | Choice, /) -> Value: ...


def _never(condition: Condition, parent: Parameter) -> str:
    """Why the condition names a value that is no choice of what is searched, or cannot be compared; empty where it can be.

    One that never holds for another reason is no mistake: a range that it looks at may have been narrowed.
    """
    if isinstance(parent, Fixed) and condition.op in ("==", "!=", "in"):
        return ""
    values = parent.choices if isinstance(parent, Choice) else _ends(parent)
    numbers = all(isinstance(value, (int, float)) for value in (*values, *_literals(condition)))
    if condition.op in ("==", "!=", "in") and isinstance(parent, Choice):
        never = [value for value in _literals(condition) if value not in parent.choices]
        said = [json.dumps(values, default=str) for values in (never[:1], parent.choices)]
        return f"{condition.name!r} is never {said[0][1:-1]}; its choices are {said[1]}" if never else ""
    return "" if numbers else f"'{condition}' compares a number with a text"


def _ends(parameter: Float | Int | Fixed) -> tuple[Value, ...]:
    return (parameter.value,) if isinstance(parameter, Fixed) else (parameter.low, parameter.high)


def _literals(condition: Condition) -> tuple[Value, ...]:
    return condition.value if isinstance(condition.value, tuple) else (condition.value,)


def walk(space: Space, suggest: Suggester) -> dict[str, Value]:
    """Visit the declarations in order and return the active parameters' values, by name."""
    values: dict[str, Value] = {}
    for parameter in space.parameters:
        if parameter.when is not None and not parameter.when.holds(values):
            continue
        values[parameter.name] = parameter.value if isinstance(parameter, Fixed) else suggest(parameter)
    return values
