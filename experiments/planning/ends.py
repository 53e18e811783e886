"""Which values give a space's smallest and largest model, where their own size does not tell: found by building models."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...models.training import options
from ...search.space.parameters import Choice, Fixed, Float, Int, Value
from ...search.space.rules import largest, smallest
from ...search.space.space import walk
from ...search.study.spec import StudySpec

MOST_MODELS = 32  # that are built in all
MOST_TEXTS = 3  # of a list that are tried at the large end, whose models may be slow to build

Count = Callable[[Mapping[str, Any]], int | str]
Rule = Callable[[Float | Int | Choice], Value]


@dataclass(frozen=True)
class Ends:
    """The values of the smallest and the largest model; a line for each text with which the smallest cannot be built."""

    smallest: dict[str, Any]
    largest: dict[str, Any]
    failing: tuple[str, ...] = ()


def search_ends(spec: StudySpec, plain: tuple[dict[str, Any], dict[str, Any]], count: Count) -> Ends:
    """Find them, one hyperparameter after another, from the plain ends, which go by the size of the values.

    `count` builds a model: its parameters, or why it cannot be built.

    A text has no size, and a larger number may make a smaller model (of pools, say). Both show at the small end, whose models are
    quickly built; the large end is tried only where they do. What shows at the large end alone is not found.
    """
    if not spec.source.declared:
        return Ends(*plain)
    low, high, failing = dict[str, Value](), dict[str, Value](), list[str]()
    built = _Built(count)

    def fill(rule: Rule, chosen: Mapping[str, Value]) -> dict[str, Any]:
        return {**spec.training, **walk(spec.space, lambda one: chosen[one.name] if one.name in chosen else rule(one))}

    for one in spec.space.searched:
        if isinstance(one, Fixed) or one.name in options.NAMES or one.name not in fill(smallest, low):
            continue
        values = _choose(one)
        counts = built.count_each({value: fill(smallest, {**low, one.name: value}) for value in values})
        known = _keep_numbers(counts)
        failing += [
            f"space.{one.name}: with {value!r} the smallest model cannot be built: {said}"
            for value, said in counts.items()
            if isinstance(said, str) and isinstance(value, str)
        ]
        if len({*known.values()}) < 2 or (_sized(values) and [*known.values()] == sorted(known.values())):
            continue  # of no effect, or as its size says
        low[one.name] = min(known, key=lambda value: known[value])
        wanted = sorted(known, key=lambda value: -known[value])[:MOST_TEXTS]
        sizes = _keep_numbers(built.count_each({value: fill(largest, {**high, one.name: value}) for value in wanted}))
        if sizes:
            high[one.name] = max(sizes, key=lambda value: sizes[value])
    return Ends(fill(smallest, low), fill(largest, high), tuple(failing))


def _choose(parameter: Float | Int | Choice) -> list[Value]:
    """The values to try: the least and the greatest number, and every text."""
    if not isinstance(parameter, Choice):
        return [parameter.low, parameter.high]
    numbers = [value for value in parameter.choices if not isinstance(value, str)]
    texts = [value for value in parameter.choices if isinstance(value, str)]
    return [*dict.fromkeys([min(numbers, key=float), max(numbers, key=float)] if numbers else []), *texts]


def _sized(values: Iterable[Value]) -> bool:
    """Whether their own size may tell: there is no text."""
    return not any(isinstance(value, str) for value in values)


class _Built:
    """The models built so far, each once, and at most MOST_MODELS."""

    def __init__(self, count: Count) -> None:
        self._count, self._known = count, dict[str, int | str]()

    def count_each(self, models: Mapping[Value, Mapping[str, Any]]) -> dict[Value, int | str]:
        """What `count` says of the model with each value; without those that are too many."""
        found = dict[Value, int | str]()
        for value, model in models.items():
            key = json.dumps(model, sort_keys=True, default=str)
            if key not in self._known and len(self._known) < MOST_MODELS:
                self._known[key] = self._count(model)
            if key in self._known:
                found[value] = self._known[key]
        return found


def _keep_numbers(counts: Mapping[Value, int | str]) -> dict[Value, int]:
    return {value: number for value, number in counts.items() if isinstance(number, int)}
