"""The space that a Keras Tuner model declares by its hp, as Tailor's own. Pure: hp comes as the plain data of its configs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from ..errors import StudyError
from ..space.conditions import Condition, When, parse_when, write_when
from ..space.parameters import Choice, Fixed, Float, Int, Parameter, check_distinct, explain_refusal
from ..space.points import list_points
from ..space.space import Space
from .capabilities import LISTED
from .load import check_whole
from .parse_space import check_key, end_at_last_step
from .sections import Found
from .spec import StudySpec


def complete(spec: StudySpec, declared: Sequence[Parameter]) -> StudySpec:
    """The spec with the declared parameters before its own. Raises as `check_whole`, and for a name that both have."""
    own = [parameter for parameter in spec.space.parameters if parameter.name not in spec.found.declared]
    names = tuple(parameter.name for parameter in declared)
    for name in (*(parameter.name for parameter in own), *spec.training):
        if name in names:
            raise StudyError(f"{name}: model {spec.model!r} declares it itself, by hp; leave it out of the study file.")
    whole = check_whole(dataclasses.replace(spec, space=Space((*declared, *own)), found=Found(names)))
    if spec.search.sampler.name in LISTED:
        list_points(whole.space)
    return whole


def translate(configs: Sequence[Mapping[str, Any]]) -> tuple[Parameter, ...]:
    """The parameters of `hp.get_config()["space"]`, in their order. Raises StudyError for what Tailor lacks.

    Nested conditional scopes become one conjunction, without the conditions that others in it imply.
    """
    found: dict[str, Parameter] = {}
    ways: dict[str, list[When]] = {}  # the conditions under which it exists, one for each declaration
    for config in configs:
        parameter = _with_default(_translate_one(config["class_name"], config["config"]), config["config"])
        name = parameter.name
        way = tuple(
            Condition(one["config"]["name"], "in", tuple(one["config"]["values"])) for one in config["config"]["conditions"]
        )
        if name in found:
            parameter = _join(found[name], parameter, way in ways[name])
        found[name] = parameter
        ways.setdefault(name, []).append(way)
    whens = {name: _merge(name, several) for name, several in ways.items()}
    return tuple(dataclasses.replace(found[name], when=_shorten(name, when, whens)) for name, when in whens.items())


def _translate_one(kind: str, config: Mapping[str, Any]) -> Parameter:
    check_key(name := config["name"])
    if kind == "Fixed":
        return Fixed(name, config["value"])
    if kind in ("Boolean", "Choice"):
        choice = Choice(name, tuple(config["values"]) if kind == "Choice" else (True, False))
        check_distinct(choice)
        return choice
    if kind not in ("Int", "Float"):
        raise StudyError(f"hp {name!r}: expected an Int, Float, Choice, Boolean or Fixed, got {kind}; declare it by one of them.")
    low, high, step, log = config["min_value"], config["max_value"], config["step"], config["sampling"] == "log"
    if config["sampling"] not in ("linear", "log"):
        raise StudyError(f"hp {name!r}: expected sampling linear or log, got {config['sampling']!r}; use one of the two.")
    if log and step:  # Keras Tuner multiplies by it
        return Choice(name, tuple(dict.fromkeys(_powers(low, high, step))))
    if kind == "Float":
        return end_at_last_step(Float(name, float(low), float(high), log, step and float(step)))
    return end_at_last_step(Int(name, low, high, log, None if step == 1 else step))


def _with_default(parameter: Parameter, config: Mapping[str, Any]) -> Parameter:
    """The parameter with hp's default, except a Float's low end: Keras Tuner gives that if none is set."""
    default = config.get("default")
    if isinstance(parameter, Fixed) or default is None or explain_refusal(parameter, default):
        return parameter
    if isinstance(parameter, Float) and default == parameter.low:
        return parameter
    return dataclasses.replace(parameter, default=default)


def _powers(low: float, high: float, step: float) -> list[int | float]:
    values = [low]
    while values[-1] * step <= high * (1 + 1e-9):
        values.append(values[-1] * step)
    return values


def _join(one: Parameter, other: Parameter, same_place: bool) -> Parameter:
    """One parameter from two declarations that differ at most in their default; `same_place`: under the same conditions."""
    if not isinstance(one, Fixed) and not isinstance(other, Fixed) and one.default != other.default:  # two defaults: none
        one, other = dataclasses.replace(one, default=None), dataclasses.replace(other, default=None)
    if one == other:
        return one
    if same_place:
        raise StudyError(
            f"hp {one.name!r}: its declaration depends on another value (once {_describe(one)}, then {_describe(other)}), and a "
            "search would keep to the first. Declare the widest range and cut it down in the model, or search a share of the "
            "other value, such as a Float from 0 to 1."
        )
    raise StudyError(f"hp {one.name!r}: it is declared twice, with other values each time; give the two their own names.")


def _describe(parameter: Parameter) -> str:
    if isinstance(parameter, Fixed):
        return str(parameter.value)
    return str(list(parameter.choices)) if isinstance(parameter, Choice) else f"{parameter.low} to {parameter.high}"


def _merge(name: str, ways: Sequence[When]) -> When:
    """The one conjunction that holds when any of the ways does. Raises StudyError if there is none."""
    left = list(dict.fromkeys(ways))
    while len(left) > 1:
        for one, other in combinations(left, 2):
            if (union := _unite(one, other)) is not None:
                left = [union, *(way for way in left if way not in (one, other, union))]
                break
        else:
            raise StudyError(
                f"hp {name!r}: it is declared under {write_when(left[0])} and under {write_when(left[1])}; "
                "give the two their own names."
            )
    return left[0]


def _unite(one: When, other: When) -> When | None:
    """The conjunction of two that differ in the values of one condition, or of which one holds whenever the other does."""
    first, second = ([(condition.name, frozenset(condition.value)) for condition in way] for way in (one, other))
    for wide, narrow, way in ((first, second, one), (second, first, other)):
        if {*wide} <= {*narrow}:
            return way
    differ = [i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b]
    if len(one) != len(other) or len(differ) > 1 or one[differ[0]].name != other[differ[0]].name:
        return None
    place = differ[0]
    values = tuple(dict.fromkeys((*one[place].value, *other[place].value)))
    return (*one[:place], Condition(one[place].name, "in", values), *one[place + 1 :])


def _shorten(name: str, when: When, whens: Mapping[str, When]) -> When:
    """The conditions without those that the inner ones imply: a parameter has a value only if its own conditions hold."""
    kept: list[Condition] = []
    for condition in reversed(when):
        if not any(_implies(inner, condition, whens) for inner in kept):
            kept.insert(0, condition)
    if kept and parse_when(name, write_when(tuple(kept))) != tuple(kept):
        raise StudyError(f"hp {kept[0].name!r}: a condition on that name cannot be written down; rename it.")
    return tuple(kept)


def _implies(inner: Condition, outer: Condition, whens: Mapping[str, When]) -> bool:
    """Whether the outer condition holds whenever the inner one does."""
    if inner.name == outer.name:
        return {*inner.value} <= {*outer.value}
    return any(_implies(parent, outer, whens) for parent in whens.get(inner.name, ()))
