"""Rules that pick one parameter's value, for `walk`: the ends of its range, its middle, one drawn at random. Pure."""

from __future__ import annotations

import math
import random

from .conditions import Value
from .parameters import Choice, Float, Int, count_values, value_at_step


def smallest(parameter: Float | Int | Choice) -> Value:
    """The low end of one parameter, for the smallest model of a space."""
    return min(parameter.choices, key=_size) if isinstance(parameter, Choice) else parameter.low


def largest(parameter: Float | Int | Choice) -> Value:
    """The high end of one parameter, for the largest model of a space."""
    return max(parameter.choices, key=_size) if isinstance(parameter, Choice) else parameter.high


def middle(parameter: Float | Int | Choice) -> Value:
    """The middle of one parameter on its own scale; of a choice the first, as people list the best known first."""
    if isinstance(parameter, Choice):
        return parameter.choices[0]
    if parameter.step is not None and (count := count_values(parameter)) is not None:
        return value_at_step(parameter, (count - 1) // 2)
    half = math.sqrt(parameter.low * parameter.high) if parameter.log else (parameter.low + parameter.high) / 2
    return round(half) if isinstance(parameter, Int) else half


def draw(parameter: Float | Int | Choice, rng: random.Random) -> Value:
    """A value drawn at random, on the parameter's own scale."""
    if isinstance(parameter, Choice):
        return rng.choice(parameter.choices)
    if (count := count_values(parameter)) is not None:
        return value_at_step(parameter, rng.randrange(count))
    if not parameter.log:
        return rng.uniform(parameter.low, parameter.high)
    high = parameter.high + (1 if isinstance(parameter, Int) else 0)
    value = math.exp(rng.uniform(math.log(parameter.low), math.log(high)))
    return min(int(value), parameter.high) if isinstance(parameter, Int) else min(max(value, parameter.low), parameter.high)


def _size(value: Value) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
