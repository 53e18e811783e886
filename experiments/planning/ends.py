"""Which values give a space's smallest and largest model, where their own size does not tell: found by building models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...models.training import options
from ...search.space.parameters import Choice, Fixed, Float, Int, Value
from ...search.space.rules import largest, smallest
from ...search.space.space import walk
from ...search.study.spec import StudySpec
from .resolve import find_ends

MOST_TEXTS = 12  # models that are built for the texts of lists

Count = Callable[[Mapping[str, Any]], int | str]


@dataclass(frozen=True)
class Ends:
    """The values of the smallest and the largest model, and a line for each text of a list that no model takes."""

    smallest: dict[str, Any]
    largest: dict[str, Any]
    failing: tuple[str, ...] = ()


def search_ends(spec: StudySpec, count: Count) -> Ends:
    """Find them, one hyperparameter after another. `count` builds a model: its parameters, or why it cannot be built.

    A text has no size, and a larger number may make a smaller model (of pools, say). Both show at the small end, whose models are
    quickly built; the large end is tried only where they do.
    """
    low, high, failing = dict[str, Value](), dict[str, Value](), list[str]()
    if not spec.source.declared:
        return Ends(*find_ends(spec))

    def fill(rule: Callable[[Float | Int | Choice], Value], chosen: Mapping[str, Value]) -> dict[str, Any]:
        return {**spec.training, **walk(spec.space, lambda one: chosen[one.name] if one.name in chosen else rule(one))}

    count, left = _remember(count), MOST_TEXTS
    for one in spec.space.searched:
        if isinstance(one, Fixed) or one.name in options.NAMES or one.name not in fill(smallest, low):
            continue
        texts = isinstance(one, Choice) and any(isinstance(value, str) for value in one.choices)
        values: tuple[Value, ...] = one.choices[:left] if isinstance(one, Choice) and texts else (smallest(one), largest(one))
        left -= len(values) if texts else 0
        counts = {value: count(fill(smallest, {**low, one.name: value})) for value in values}
        known = {value: number for value, number in counts.items() if isinstance(number, int)}
        if texts:
            failing += [
                f"space.{one.name}: with {value!r} the smallest model cannot be built: {said}"
                for value, said in counts.items()
                if isinstance(said, str)
            ]
        if list(known.values()) == sorted(known.values()) and (not texts or len({*known.values()}) < 2):
            continue  # as its size says, or of no effect
        low[one.name] = min(known, key=lambda value: known[value])
        tried = {value: count(fill(largest, {**high, one.name: value})) for value in known}
        sizes = {value: number for value, number in tried.items() if isinstance(number, int)}
        high[one.name] = max(sizes or known, key=lambda value: (sizes or known)[value])
    return Ends(fill(smallest, low), fill(largest, high), tuple(failing))


def _remember(count: Count) -> Count:
    """The same, once for each model."""
    known = dict[str, int | str]()

    def remembered(values: Mapping[str, Any]) -> int | str:
        key = json.dumps(values, sort_keys=True, default=str)
        if key not in known:
            known[key] = count(values)
        return known[key]

    return remembered
