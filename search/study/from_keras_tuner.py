"""The space that a Keras Tuner model declares by its hp, as Tailor's own. Pure: hp comes as the plain data of its configs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import StudyError
from ..space.conditions import Condition
from ..space.parameters import Choice, Fixed, Float, Int, Parameter, refusal
from ..space.points import points
from ..space.space import Space
from .capabilities import LISTED
from .load import checked_whole
from .parse_space import check_key, reached
from .spec import Found, StudySpec

Scopes = Sequence[Mapping[str, Any]]  # nested conditional scopes, the outermost first: a parent's name and its values


def completed(spec: StudySpec, declared: Sequence[Parameter]) -> StudySpec:
    """The spec with the declared parameters before its own. Raises as `checked_whole`, and for a name that both have."""
    own = [parameter for parameter in spec.space.parameters if parameter.name not in spec.found.declared]
    names = tuple(parameter.name for parameter in declared)
    for name in (*(parameter.name for parameter in own), *spec.training):
        if name in names:
            raise StudyError(f"{name}: model {spec.model!r} declares it itself, by hp; leave it out of the study file.")
    whole = checked_whole(dataclasses.replace(spec, space=Space((*declared, *own)), found=Found(names)))
    if spec.search.sampler.name in LISTED:
        points(whole.space)
    return whole


def translate(configs: Sequence[Mapping[str, Any]]) -> tuple[Parameter, ...]:
    """The parameters of `hp.get_config()["space"]`, in their order. Raises StudyError for what has no like in Tailor.

    Of nested conditional scopes the innermost is the condition: its parent exists only where the outer ones hold.
    """
    found: dict[str, Parameter] = {}
    scopes: dict[str, list[Scopes]] = {}
    for config in configs:
        parameter = _with_default(_translated(config["class_name"], config["config"]), config["config"])
        before = found.get(parameter.name)
        found[parameter.name] = parameter if before is None else _joined(before, parameter)
        scopes.setdefault(parameter.name, []).append([scope["config"] for scope in config["config"]["conditions"]])
    for name in scopes:
        _check_nested(name, scopes)
    return tuple(found.values())


def _translated(kind: str, config: Mapping[str, Any]) -> Parameter:
    check_key(name := config["name"])
    when = _condition(name, config["conditions"])
    if kind == "Fixed":
        return Fixed(name, config["value"], when)
    if kind in ("Boolean", "Choice"):
        return Choice(name, tuple(config["values"]) if kind == "Choice" else (True, False), when)
    if kind not in ("Int", "Float"):
        raise StudyError(f"hp {name!r}: expected an Int, Float, Choice, Boolean or Fixed, got {kind}; declare it by one of them.")
    low, high, step, log = config["min_value"], config["max_value"], config["step"], config["sampling"] == "log"
    if config["sampling"] not in ("linear", "log"):
        raise StudyError(f"hp {name!r}: expected sampling linear or log, got {config['sampling']!r}; use one of the two.")
    if log and step:  # Keras Tuner multiplies by it
        return Choice(name, tuple(dict.fromkeys(_powers(low, high, step))), when)
    if kind == "Float":
        return reached(Float(name, float(low), float(high), log, step and float(step), when))
    return reached(Int(name, low, high, log, None if step == 1 else step, when))


def _with_default(parameter: Parameter, config: Mapping[str, Any]) -> Parameter:
    """The parameter with hp's default. A float's that is left out comes as the low end, which is no word of anybody's."""
    default = config.get("default")
    if isinstance(parameter, Fixed) or default is None or refusal(parameter, default):
        return parameter
    if isinstance(parameter, Float) and default == parameter.low:
        return parameter
    return dataclasses.replace(parameter, default=default)


def _condition(owner: str, conditions: Sequence[Mapping[str, Any]]) -> Condition | None:
    """The innermost of an hp's conditions."""
    if not conditions:
        return None
    parent = conditions[-1]["config"]
    found = Condition(parent["name"], "in", tuple(parent["values"]))
    if Condition.parse(owner, str(found)) != found:
        raise StudyError(f"hp {parent['name']!r}: a condition on that name cannot be written down; call it otherwise.")
    return found


def _check_nested(name: str, scopes: Mapping[str, list[Scopes]]) -> None:
    """Raise StudyError where the innermost scopes of an hp say less than all of them: their parent exists elsewhere too."""
    if not all(scopes[name]):
        return  # it exists always
    parent, values = scopes[name][0][-1]["name"], {value for nested in scopes[name] for value in nested[-1]["values"]}
    for place in scopes.get(parent, ()):
        here = {value for nested in scopes[name] if not _beyond(nested, place, scopes) for value in nested[-1]["values"]}
        if here != values:
            outer = next(scope["name"] for nested in scopes[name] for scope in _beyond(nested, place, scopes))
            raise StudyError(
                f"hp {name!r}: it hangs on {parent!r} in a scope of {outer!r} alone, and {parent!r} is declared elsewhere too; "
                f"declare {name!r} wherever {parent!r} is, or give {parent!r} a name of its own in each place."
            )


def _beyond(nested: Scopes, place: Scopes, scopes: Mapping[str, list[Scopes]]) -> Scopes:
    """The outer scopes of nested ones that need not be active where the innermost is, its parent being declared in `place`."""
    return [outer for outer in nested[:-1] if not _implied(outer, [*place, nested[-1]], scopes)]


def _implied(wanted: Mapping[str, Any], given: Scopes, scopes: Mapping[str, list[Scopes]]) -> bool:
    """Whether a scope is active wherever the given ones are: one of them says so, or its parent exists only there."""
    for scope in given:
        name = scope["name"]
        if name == wanted["name"] and {*scope["values"]} <= {*wanted["values"]}:
            return True
        others = {other: nested for other, nested in scopes.items() if other != name}
        if name in scopes and all(_implied(wanted, nested, others) for nested in scopes[name]):
            return True
    return False


def _powers(low: float, high: float, step: float) -> list[int | float]:
    values = [low]
    while values[-1] * step <= high * (1 + 1e-9):
        values.append(values[-1] * step)
    return values


def _joined(one: Parameter, other: Parameter) -> Parameter:
    """One parameter of two declarations that differ in their conditions alone."""
    if not isinstance(one, Fixed) and not isinstance(other, Fixed) and one.default != other.default:  # each its own: none then
        one, other = dataclasses.replace(one, default=None), dataclasses.replace(other, default=None)
    if dataclasses.replace(one, when=None) != dataclasses.replace(other, when=None):
        raise StudyError(f"hp {one.name!r}: it is declared twice, with other values each time; give the two their own names.")
    if one.when is None or other.when is None:
        return dataclasses.replace(one, when=None)
    if one.when.name != other.when.name:
        raise StudyError(
            f"hp {one.name!r}: it is declared under {one.when} and under {other.when}; give the two their own names."
        )
    values = tuple(dict.fromkeys((*one.when.value, *other.when.value)))
    return dataclasses.replace(one, when=Condition(one.when.name, "in", values))
