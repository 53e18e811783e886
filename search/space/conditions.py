"""Conditions: a parameter exists only where an earlier one satisfies `NAME OP VALUE`."""

from __future__ import annotations

import json
import operator
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import StudyError

Value = bool | int | float | str


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
    """`NAME OP VALUE`: the parameter that carries it exists only where the named, earlier parameter satisfies it."""

    name: str
    op: str
    value: Any

    @classmethod
    def parse(cls, owner: str, text: str) -> Condition:
        match = re.fullmatch(rf"\s*({NAME})\s*(==|!=|<=|>=|<|>|\bin\b)\s*(.+?)\s*", text)
        if match is None:
            raise StudyError(f"space.{owner}.when: expected 'NAME OP VALUE' such as 'depth >= 3', got {text!r}.")
        name, op, literal = match.groups()
        try:
            value = tomllib.loads(f"v = {literal}")["v"]
        except tomllib.TOMLDecodeError:
            value = literal  # a bare word is a string
        if (op == "in") != isinstance(value, list):
            raise StudyError(
                f"space.{owner}.when: 'in' takes a list such as [1, 2] or ['a', 'b'], other operators one value; got {text!r}."
            )
        return cls(name, op, tuple(value) if isinstance(value, list) else value)

    def holds(self, values: Mapping[str, Value]) -> bool:
        """True when the named parameter is active and satisfies the condition."""
        return self.name in values and OPERATORS[self.op](values[self.name], self.value)

    def __str__(self) -> str:
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return f"{self.name} {self.op} {json.dumps(value)}"
