"""Points of a space: lists those of a finite one, and checks given ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import StudyError, unknown
from .conditions import Value, holds
from .parameters import Choice, Fixed, Float, Int, count_values, explain_refusal, normalize, value_at_step
from .space import Space

MOST_POINTS = 100_000


def list_points(space: Space) -> list[dict[str, Value]]:
    """Each distinct combination of a finite space, under its conditions. Raises StudyError if a parameter has no list."""
    lists = [[parameter.value] if isinstance(parameter, Fixed) else list_values(parameter) for parameter in space.parameters]
    found: list[dict[str, Value]] = [{}]
    for parameter, values in zip(space.parameters, lists, strict=True):
        grown: list[dict[str, Value]] = []
        for point in found:
            grown += [{**point, parameter.name: value} for value in values] if holds(parameter.when, point) else [point]
            if len(grown) > MOST_POINTS + len(values):  # not after the product: two wide ranges have billions of points
                break
        found = grown
        if len(found) > MOST_POINTS:
            raise StudyError(f"space: a grid of more than {MOST_POINTS:,} points is no grid; sample it, or take wider steps.")
    return found


def count_points(space: Space) -> int | None:
    """How many points the space has; None if they are too many to list, or infinitely many."""
    try:
        return len(list_points(space))
    except StudyError:
        return None


def check_point(space: Space, point: Mapping[str, Any], where: str) -> dict[str, Value]:
    """The values of some searched parameters, checked against what each can take. Raises StudyError naming `where`."""
    searched = {parameter.name: parameter for parameter in space.parameters if not isinstance(parameter, Fixed)}
    for name, value in point.items():
        if name not in searched:
            raise unknown(f"{where} (no searched parameter)", name, searched)
        if why := explain_refusal(searched[name], value):
            raise StudyError(f"{where}.{name}: {why}.")
    return {name: normalize(searched[name], value) for name, value in point.items()}


def list_values(parameter: Float | Int | Choice) -> list[Value]:
    """Every value that the parameter can take. Raises StudyError if there is no list of them."""
    if isinstance(parameter, Choice):
        return list(parameter.choices)
    count = count_values(parameter)
    if count is None:
        ways = "choices = [...]" if parameter.log else "choices = [...] or a step"
        raise StudyError(f"space.{parameter.name}: a grid needs a finite list of values; give {ways}, or use another sampler.")
    if count > MOST_POINTS:
        raise StudyError(f"space.{parameter.name}: {count:,} values are too many to list; take a wider step.")
    return [value_at_step(parameter, i) for i in range(count)]
