"""The declarations of a [space] table as parameters: a value, a list, a range or a table of their keys, each checked."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

from ..errors import StudyError
from ..space.conditions import NAME, Condition
from ..space.parameters import Choice, Fixed, Float, Int, Parameter, as_declared
from .table import Table


def check_key(name: str) -> None:
    """Raise StudyError for what cannot be a parameter's name."""
    if len(name) > 100 or not re.fullmatch(NAME, name):
        known = "at most 100 letters, digits and '_', '-', '.', '/' or spaces"
        raise StudyError(f"space: expected a parameter name of {known}, got {name[:60]!r}.")


def parameter(name: str, value: Any) -> Parameter:
    """The parameter that `name = value` declares. Raises StudyError naming the key that is wrong."""
    check_key(name)
    if isinstance(value, (bool, int, float, str)):
        return Fixed(name, value)
    if isinstance(value, list):
        return Choice(name, tuple(_value(name, v) for v in value))
    table = Table(f"space.{name}", value, ("low", "high", "log", "step", "type", "choices", "value", "when", "default"))
    given = set(table.values)
    when = Condition.parse(name, table.text("when")) if "when" in given else None
    for key, others in (("choices", {"when", "default"}), ("value", {"when"})):
        if key in given:
            if extra := sorted(given - others - {key}):
                known = " and ".join(f"'{other}'" for other in sorted(others, reverse=True))
                raise StudyError(f"space.{name}: {key} stands alone (with {known} at most), got also {', '.join(extra)}.")
            content = table.values[key]
            if key == "value":
                return Fixed(name, _value(name, content), when)
            if not isinstance(content, list):
                raise StudyError(f"space.{name}.choices: expected a list of values, got {content!r}.")
            return Choice(name, tuple(_value(name, v) for v in content), when, table.values.get("default"))
    return _range(name, table, when)


def _range(name: str, table: Table, when: Condition | None) -> Float | Int:
    low, high, step = (table.values.get(key) for key in ("low", "high", "step"))
    for key, number in (("low", low), ("high", high)):
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise StudyError(
                f"space.{name}.{key}: expected a number, got {number!r}; give low and high, choices = [...], or one value."
            )
    if step is not None and (isinstance(step, bool) or not isinstance(step, (int, float))):
        raise StudyError(f"space.{name}.step: expected a number, got {step!r}.")
    whole = all(isinstance(n, int) for n in (low, high, step) if n is not None)
    kind = table.text("type", "int" if whole else "float", ("int", "float"))
    log, default = table.flag("log", False), table.values.get("default")
    if kind == "float":
        return reached(Float(name, float(low), float(high), log, None if step is None else float(step), when, default))  # type: ignore[arg-type]
    if not whole:
        raise StudyError(f'space.{name}: type = "int" needs whole low, high and step, got {dict(table.values)!r}.')
    return reached(Int(name, low, high, log, step, when, default))  # type: ignore[arg-type]


def reached(parameter: Float | Int) -> Float | Int:
    """The range, its upper end lowered to the last step, where it has steps: of 16 to 100 by 32 nobody proposes the 100."""
    if not parameter.step:
        return parameter
    if isinstance(parameter, Int):
        return dataclasses.replace(parameter, high=parameter.high - (parameter.high - parameter.low) % parameter.step)
    steps = math.floor((parameter.high - parameter.low) / parameter.step + 1e-9)
    return dataclasses.replace(parameter, high=float(as_declared(parameter, parameter.low + steps * parameter.step)))


def _value(name: str, value: Any) -> bool | int | float | str:
    if isinstance(value, (bool, int, float, str)):
        return value
    raise StudyError(f"space.{name}: expected numbers, texts or true/false as values, got {value!r}.")
