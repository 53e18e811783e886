"""Parameters in words, for screens: what each may be, its scale, its default, when it exists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .conditions import Value, write_when
from .parameters import Choice, Fixed, Parameter


def list_values(parameter: Parameter) -> list[Value]:
    """The values that a declaration gives: all choices, or both ends of a range."""
    if isinstance(parameter, Fixed):
        return [parameter.value]
    return list(parameter.choices) if isinstance(parameter, Choice) else [parameter.low, parameter.high]


def describe_values(parameter: Parameter) -> str:
    """What a parameter may be: 1–4, or 16, 32, 64, or fixed at 2."""
    if isinstance(parameter, Fixed):
        return f"fixed at {describe_value(parameter.value)}"
    if isinstance(parameter, Choice):
        return ", ".join(map(describe_value, parameter.choices))
    step = f" by {describe_value(parameter.step)}" if parameter.step else ""
    return f"{describe_value(parameter.low)}–{describe_value(parameter.high)}{step}"


def describe_scale(parameter: Parameter) -> str:
    """How its values lie: log, linear, choice or fixed."""
    if isinstance(parameter, (Fixed, Choice)):
        return "fixed" if isinstance(parameter, Fixed) else "choice"
    return "log" if parameter.log else "linear"


def describe_default(parameter: Parameter) -> str:
    """What a search begins with, if the study file says it."""
    default = None if isinstance(parameter, Fixed) else parameter.default
    return "" if default is None else describe_value(default)


def describe_whole(parameter: Parameter) -> str:
    """The whole declaration in a few words: 0.0001–0.1, log, if depth >= 2."""
    log = ["log"] if describe_scale(parameter) == "log" else []
    when = [f"if {write_when(parameter.when)}"] if parameter.when else []
    return ", ".join([describe_values(parameter), *log, *when])


def describe_value(value: Value | Mapping[str, Value] | None) -> str:
    """A value as you would write it: 0.0001, 32, adam, true; patience 4 for a table, – for nothing."""
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {describe_value(one)}" for name, one in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def ask_about_lists(parameters: Sequence[Parameter]) -> list[str]:
    """A question for each list of two floats: two values, and nothing between them, are seldom meant."""
    asked = []
    for one in parameters:
        if isinstance(one, Choice) and len(one.choices) == 2 and all(isinstance(value, float) for value in one.choices):
            low, high = sorted(map(float, one.choices))
            log = ", log = true" if low > 0 and high >= 10 * low else ""
            asked.append(
                f"space.{one.name}: only {low:g} and {high:g} are tried; for what lies between, write "
                f"{{ low = {low:g}, high = {high:g}{log} }}"
            )
    return asked
