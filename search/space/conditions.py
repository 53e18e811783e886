"""Conditions: a parameter exists only when earlier ones satisfy `NAME OP VALUE`, one or several joined by `and`."""

from __future__ import annotations

import functools
import json
import math
import operator
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import StudyError, storable

Value = bool | int | float | str
EXACT = 2**53  # whole numbers up to here equal a float, as which the engines' and MLflow's stores keep them

NAME = r"[A-Za-z_][\w ./-]*?"  # of a parameter; as MLflow takes it
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
    """`NAME OP VALUE`, about an earlier parameter. The value is a tuple when the operator is `in`."""

    name: str
    op: str
    value: Any

    @property
    def values(self) -> tuple[Value, ...]:
        """What the parameter is compared with."""
        return self.value if isinstance(self.value, tuple) else (self.value,)

    def holds(self, values: Mapping[str, Value]) -> bool:
        """True when the named parameter is active and satisfies the condition."""
        return self.name in values and OPERATORS[self.op](values[self.name], self.value)

    def __str__(self) -> str:
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return f"{self.name} {self.op} {write_toml(value)}"


def write_toml(value: Any) -> str:
    """A text, number or true/false, or a list of them, as TOML: as JSON, but TOML has no pairs of escapes for an emoji."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def is_value(value: Any) -> bool:
    """Whether every store can keep it: a finite number, a text that is `storable` as it is, or true/false."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return storable(value) == value
    return isinstance(value, bool) or (isinstance(value, int) and abs(value) <= EXACT)


When = tuple[Condition, ...]  # all of them hold; empty: always


def holds(when: When, values: Mapping[str, Value]) -> bool:
    """Whether all the conditions hold for the active parameters' values."""
    return all(condition.holds(values) for condition in when)


def write_when(when: When) -> str:
    """The conditions as `parse_when` reads them."""
    return " and ".join(map(str, when))


def parse_when(owner: str, text: str) -> When:
    """The conditions of a `when`. Raises StudyError naming the parameter that has it.

    A bare word may hold spaces, and even an "and": `kind == salt and pepper` is one condition, as no condition follows the "and".
    """
    if (split := _split(text)) is None:
        raise StudyError(f"space.{owner}.when: {_read(text)}; got {text!r}.")
    return split


@functools.lru_cache(256)  # reads each end of a text once, however many ways lead to it
def _split(text: str) -> When | None:
    """The conditions of a text if each is right by itself; None if some text is left over."""
    for joint in re.finditer(r"\sand\s", text):
        first, rest = _read(text[: joint.start()]), _split(text[joint.end() :])
        if isinstance(first, Condition) and rest:
            return (first, *rest)
    only = _read(text)
    return (only,) if isinstance(only, Condition) else None


def _read(text: str) -> Condition | str:
    """One condition, or what is wrong with it."""
    match = re.fullmatch(rf"\s*({NAME})\s*(==|!=|<=|>=|<|>|\bin\b)\s*(.+?)\s*", text)
    if match is None:
        return "expected 'NAME OP VALUE' such as 'depth >= 3', or several joined by 'and'"
    name, op, literal = match.groups()
    try:
        value = tomllib.loads(f"v = {literal}")["v"]
    except tomllib.TOMLDecodeError:
        value = None if literal[0] in "'\"[" else literal  # a bare word is a text, but not half of a quoted one or of a list
    if (op == "in") != isinstance(value, list):
        return "'in' takes a list such as [1, 2] or ['a', 'b'], other operators one value"
    condition = Condition(name, op, tuple(value) if isinstance(value, list) else value)
    return (
        condition
        if all(map(is_value, condition.values))
        else "expected finite numbers, texts with both their quotes, or true/false as values"
    )
