"""The space of a study: float, int, choice and fixed parameters, conditions between them, and the walk that visits them."""

from __future__ import annotations

import json
import math
import operator
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from search.errors import StudyError, unknown

Value = bool | int | float | str

NAME = r"[A-Za-z_][\w ./-]*?"  # of a parameter; as MLflow takes it
MOST_POINTS = 100_000

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "in": lambda value, values: value in values,
}


@dataclass(frozen=True)
class Condition:
    """`NAME OP VALUE`: the parameter that carries it exists only where the named, earlier parameter satisfies it."""

    name: str
    op: str
    value: Any

    @classmethod
    def parse(cls, owner: str, text: str) -> Condition:
        match = re.fullmatch(rf"\s*({NAME})\s*(==|!=|<=|>=|<|>|\bin\b)\s*(.+?)\s*", text)
        if match is None:
            raise StudyError(f"space.{owner}.when: expected 'NAME OP VALUE' such as 'depth >= 3', got {text!r}.")
        name, op, literal = match.groups()
        try:
            value = tomllib.loads(f"v = {literal}")["v"]
        except tomllib.TOMLDecodeError:
            value = literal  # a bare word is a string
        if (op == "in") != isinstance(value, list):
            raise StudyError(
                f"space.{owner}.when: 'in' takes a list such as [1, 2] or ['a', 'b'], other operators one value; got {text!r}."
            )
        return cls(name, op, tuple(value) if isinstance(value, list) else value)

    def holds(self, values: Mapping[str, Value]) -> bool:
        """True when the named parameter is active and satisfies the condition."""
        return self.name in values and OPERATORS[self.op](values[self.name], self.value)

    def __str__(self) -> str:
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return f"{self.name} {self.op} {json.dumps(value)}"


@dataclass(frozen=True)
class Float:
    """A real number in [low, high], on a log scale or in steps from low; `default` is what a search begins with."""

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: Condition | None = None
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
    when: Condition | None = None
    default: int | None = None

    def __post_init__(self) -> None:
        _check_range(self)
        _check_default(self)


@dataclass(frozen=True)
class Choice:
    """One of the listed values."""

    name: str
    choices: tuple[Value, ...]
    when: Condition | None = None
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
    when: Condition | None = None


Parameter = Float | Int | Choice | Fixed


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


def points(space: Space) -> list[dict[str, Value]]:
    """Each distinct combination of a finite space, conditions honoured. Raises StudyError where a parameter has no list."""
    found: list[dict[str, Value]] = [{}]
    for parameter in space.parameters:
        values = [parameter.value] if isinstance(parameter, Fixed) else listed(parameter)
        grown: list[dict[str, Value]] = []
        for point in found:
            active = parameter.when is None or parameter.when.holds(point)
            grown += [{**point, parameter.name: value} for value in values] if active else [point]
        found = grown
        if len(found) > MOST_POINTS:
            raise StudyError(f"space: a grid of more than {MOST_POINTS:,} points is no grid; sample it, or take wider steps.")
    return found


def check_point(space: Space, point: Mapping[str, Any], where: str) -> dict[str, Value]:
    """The values of some searched parameters, each one that its parameter can take. Raises StudyError naming `where`."""
    searched = {parameter.name: parameter for parameter in space.parameters if not isinstance(parameter, Fixed)}
    for name, value in point.items():
        if name not in searched:
            raise unknown(f"{where} (no searched parameter)", name, searched)
        if said := refusal(searched[name], value):
            raise StudyError(f"{where}.{name}: {said}.")
    return {name: as_declared(searched[name], value) for name, value in point.items()}


def as_declared(parameter: Float | Int | Choice, value: Value) -> Value:
    """A value that the parameter can take, in the one way in which it is written.

    0.0 is the choice 0 where that is what stands there, 1 the choice true; of a float's steps the third is 0.3, not 3 * 0.1.
    """
    if isinstance(parameter, Choice):
        equal = [choice for choice in parameter.choices if choice == value]
        return next((choice for choice in equal if type(choice) is type(value)), equal[0])
    if isinstance(parameter, Float) and parameter.step:
        return _step(parameter, round((float(value) - parameter.low) / parameter.step))
    return float(value) if isinstance(parameter, Float) else value


def refusal(parameter: Float | Int | Choice, value: Any) -> str:
    """Why the parameter cannot take the value; empty where it can."""
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


def listed(parameter: Float | Int | Choice) -> list[Value]:
    """Every value that the parameter can take. Raises StudyError where there is no list of them."""
    if isinstance(parameter, Choice):
        return list(parameter.choices)
    step = parameter.step or (1 if isinstance(parameter, Int) and not parameter.log else None)
    if step is None:
        raise StudyError(
            f"space.{parameter.name}: a grid needs a finite list of values; give choices = [...] or a step, "
            "or use another sampler."
        )
    count = math.floor((parameter.high - parameter.low) / step + 1e-9) + 1
    if count > MOST_POINTS:
        raise StudyError(f"space.{parameter.name}: {count:,} values are too many to list; take a wider step.")
    if isinstance(parameter, Float):
        return [_step(parameter, i) for i in range(count)]
    return [parameter.low + i * int(step) for i in range(count)]


def _step(parameter: Float, count: int) -> float:
    """The value so many steps from low, as a person would write it: 3 * 0.1 is a little over 0.3."""
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
    if parameter.default is not None and (said := refusal(parameter, parameter.default)):
        raise StudyError(f"space.{parameter.name}.default: {said}.")
