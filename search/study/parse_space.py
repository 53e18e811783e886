"""The declarations of a [space] table as parameters: a value, a list, a range or a table of their keys, each checked."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any, Literal

from pydantic import WithJsonSchema
from pydantic.dataclasses import dataclass

from ..errors import StudyError, unknown
from ..space.conditions import Value, parse_when
from ..space.names import explain_name
from ..space.parameters import Choice, Fixed, Float, Int, Parameter, normalize
from .key_values import SCALAR, STRICT, Nothing, Text
from .validate import key, make, properties

NUMBER = {"type": "number", "expected": "a number"}
Number = Annotated[int | float, WithJsonSchema(NUMBER)]
End = Annotated[int | float, WithJsonSchema({**NUMBER, "hint": "; give low and high, choices = [...], or one value"})]
When = Annotated[
    Text | Nothing, key("exists only when earlier parameters satisfy this, such as depth >= 3 and batch_norm == true")
]
Scalar = Annotated[Value, WithJsonSchema(SCALAR)]
FIRST = key("what a search begins with")


@dataclass(frozen=True, config=STRICT)
class RangeKeys:
    """A range of numbers."""

    low: End
    high: End
    log: bool = False
    step: Number | Nothing = None
    type: Literal["int", "float"] | Nothing = None
    when: When = None
    default: Annotated[Any, WithJsonSchema({"type": "number"}), FIRST] = None


@dataclass(frozen=True, config=STRICT)
class ChoiceKeys:
    """A list of values."""

    choices: Annotated[Any, WithJsonSchema({"type": "array", "items": SCALAR, "minItems": 1})]
    when: When = None
    default: Annotated[Any, WithJsonSchema(SCALAR), FIRST] = None


@dataclass(frozen=True, config=STRICT)
class FixedKeys:
    """One value."""

    value: Annotated[Any, WithJsonSchema(SCALAR)]
    when: When = None


KNOWN = tuple(dict.fromkeys(name for kind in (RangeKeys, ChoiceKeys, FixedKeys) for name in properties(kind)))


def check_key(name: str) -> None:
    """Raise StudyError for what cannot be a parameter's name."""
    if why := explain_name(name):
        raise StudyError(f"space: expected {why}.")


def read_parameter(name: str, value: Any) -> Parameter:
    """The parameter that `name = value` declares. Raises StudyError naming the key that is wrong."""
    check_key(name)
    where = f"space.{name}"
    if isinstance(value, (bool, int, float, str)):
        return Fixed(name, value)
    if isinstance(value, list):
        return Choice(name, _values(where, value))
    if not isinstance(value, dict):
        raise StudyError(f"[{where}]: expected a table of KEY = VALUE lines, got {value!r}.")
    for one in value:
        if one not in KNOWN:
            raise unknown(f"[{where}]", str(one), KNOWN)
    for alone, others in (("choices", ("when", "default")), ("value", ("when",))):
        if alone in value and (extra := sorted({*value} - {alone, *others})):
            known = " and ".join(f"'{other}'" for other in others)
            raise StudyError(f"{where}: {alone} stands alone (with {known} at most), got also {', '.join(extra)}.")
    if "choices" in value:
        listed = make(ChoiceKeys, where, value)
        if not isinstance(listed.choices, list):
            raise StudyError(f"{where}.choices: expected a list of values, got {listed.choices!r}.")
        return Choice(name, _values(where, listed.choices), parse_when(name, listed.when) if listed.when else (), listed.default)
    if "value" in value:
        fixed = make(FixedKeys, where, value)
        return Fixed(name, _values(where, [fixed.value])[0], parse_when(name, fixed.when) if fixed.when else ())
    for end in ("low", "high"):
        if end not in value:
            raise StudyError(f"{where}.{end}: it is missing; give a number.")
    return _read_range(name, make(RangeKeys, where, value), value)


def _read_range(name: str, keys: RangeKeys, table: dict[str, Any]) -> Float | Int:
    low, high, step = keys.low, keys.high, keys.step
    when = parse_when(name, keys.when) if keys.when else ()
    whole = all(isinstance(n, int) for n in (low, high, step) if n is not None)
    if (keys.type or ("int" if whole else "float")) == "float":
        steps = None if step is None else float(step)
        return _in_steps(Float(name, float(low), float(high), keys.log, steps, when, keys.default))
    if not whole:
        raise StudyError(f'space.{name}: type = "int" needs whole low, high and step, got {table!r}.')
    return _in_steps(Int(name, low, high, keys.log, step, when, keys.default))  # type: ignore[arg-type]


def _in_steps(parameter: Float | Int) -> Float | Int:
    """The range up to its last step. Raises StudyError if that is its first value: a search would vary nothing."""
    if parameter.step and parameter.low < parameter.high < parameter.low + parameter.step:
        raise StudyError(
            f"space.{parameter.name}.step: expected at most {parameter.high - parameter.low:g}, the width of the range from "
            f"{parameter.low} to {parameter.high}, got {parameter.step}; take a narrower step, or give one value."
        )
    return end_at_last_step(parameter)


def end_at_last_step(parameter: Float | Int) -> Float | Int:
    """The range; if it has steps, its upper end is the last one: from 16 to 100 by 32, that is 80."""
    if not parameter.step:
        return parameter
    if isinstance(parameter, Int):
        return dataclasses.replace(parameter, high=parameter.high - (parameter.high - parameter.low) % parameter.step)
    steps = math.floor((parameter.high - parameter.low) / parameter.step + 1e-9)
    return dataclasses.replace(parameter, high=float(normalize(parameter, parameter.low + steps * parameter.step)))


def _values(where: str, values: list[Any]) -> tuple[Value, ...]:
    for value in values:
        if not isinstance(value, (bool, int, float, str)):
            raise StudyError(f"{where}: expected numbers, texts or true/false as values, got {value!r}.")
    return tuple(values)
