"""The kinds of parameter: float, int, choice and fixed, each checked once when it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..errors import StudyError
from .conditions import Value, When


@dataclass(frozen=True)
class Float:
    """A real number in [low, high], on a log scale or in steps from low; a search begins with its `default`."""

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: When = ()
    default: float | None = None

    def __post_init__(self) -> None:
        _check_range(self)
        _check_default(self)


@dataclass(frozen=True)
class Int:
    """A whole number in [low, high], on a log scale or in steps from low."""

    name: str
    low: int
    high: int
    log: bool = False
    step: int | None = None
    when: When = ()
    default: int | None = None

    def __post_init__(self) -> None:
        _check_range(self)
        _check_default(self)


@dataclass(frozen=True)
class Choice:
    """One of the listed values."""

    name: str
    choices: tuple[Value, ...]
    when: When = ()
    default: Value | None = None

    def __post_init__(self) -> None:
        if not self.choices:
            raise StudyError(f"space.{self.name}: choices is empty; list at least one value.")
        if len(set(map(repr, self.choices))) < len(self.choices):
            raise StudyError(f"space.{self.name}: choices {list(self.choices)} names a value twice; keep one of each.")
        _check_default(self)


@dataclass(frozen=True)
class Fixed:
    """One value, the same in every trial."""

    name: str
    value: Value
    when: When = ()


Parameter = Float | Int | Choice | Fixed


def normalize(parameter: Float | Int | Choice, value: Value) -> Value:
    """A value that the parameter can take, in its one spelling.

    0.0 becomes the choice 0 if that is declared, 1 the choice true; the third step of a float becomes 0.3, not 3 * 0.1.
    """
    if isinstance(parameter, Choice):
        equal = [choice for choice in parameter.choices if choice == value]
        return next((choice for choice in equal if type(choice) is type(value)), equal[0])
    if isinstance(parameter, Float) and parameter.step:
        return value_at_step(parameter, round((float(value) - parameter.low) / parameter.step))
    return float(value) if isinstance(parameter, Float) else value


def explain_refusal(parameter: Float | Int | Choice, value: Any) -> str:
    """Why the parameter cannot take the value; empty if it can."""
    if isinstance(parameter, Choice):
        right, expected = value in parameter.choices, f"one of {list(parameter.choices)}"
    else:
        kinds = (int,) if isinstance(parameter, Int) else (int, float)
        right = isinstance(value, kinds) and not isinstance(value, bool) and parameter.low <= value <= parameter.high
        expected = f"{'a whole number' if isinstance(parameter, Int) else 'a number'} from {parameter.low} to {parameter.high}"
        if right and parameter.step:
            steps = (value - parameter.low) / parameter.step
            right, expected = abs(steps - round(steps)) < 1e-6, f"{expected} in steps of {parameter.step}"
    return "" if right else f"expected {expected}, got {value!r}"


def check_distinct(parameter: Choice) -> None:
    """Raise StudyError for choices that are equal, or that MLflow keeps as the same text: later they look the same."""
    for i, one in enumerate(parameter.choices):
        for other in parameter.choices[:i]:
            if one == other or str(one) == str(other):
                raise StudyError(
                    f"space.{parameter.name}: the choices {other!r} and {one!r} are one value to the stores; keep one of them."
                )


def count_values(parameter: Float | Int) -> int | None:
    """How many values a range has; None on a log scale, and for a float without steps."""
    if isinstance(parameter, Int):
        return None if parameter.log else (parameter.high - parameter.low) // (parameter.step or 1) + 1
    return None if parameter.step is None else math.floor((parameter.high - parameter.low) / parameter.step + 1e-9) + 1


def value_at_step(parameter: Float | Int, count: int) -> int | float:
    """The value `count` steps above low, as you write it: 3 * 0.1 is a little over 0.3."""
    if isinstance(parameter, Int):
        return parameter.low + count * (parameter.step or 1)
    written = float(f"{parameter.low + count * (parameter.step or 0.0):.12g}")
    return float(max(parameter.low, min(written, parameter.high)))


def _check_range(parameter: Float | Int) -> None:
    where = f"space.{parameter.name}"
    if not (math.isfinite(parameter.low) and math.isfinite(parameter.high)):
        raise StudyError(f"{where}: low and high must be finite, got low = {parameter.low}, high = {parameter.high}.")
    if parameter.low > parameter.high:
        raise StudyError(f"{where}: low must be at most high, got low = {parameter.low}, high = {parameter.high}.")
    if parameter.log and parameter.low <= 0:
        raise StudyError(f"{where}: a log scale needs low > 0, got low = {parameter.low}; raise low or drop log.")
    if parameter.log and parameter.step is not None:
        raise StudyError(f"{where}: log and step cannot stand together (engines disagree on it); keep one of them.")
    if parameter.step is not None and parameter.step <= 0:
        raise StudyError(f"{where}: step must be above 0, got {parameter.step}.")


def _check_default(parameter: Float | Int | Choice) -> None:
    if parameter.default is not None and (why := explain_refusal(parameter, parameter.default)):
        raise StudyError(f"space.{parameter.name}.default: {why}.")
