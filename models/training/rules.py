"""The allowed values of a training option: each rule checks a value and describes itself as JSON Schema. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import ModelError


class Rule(Protocol):
    """The allowed values of one option."""

    def check(self, field: str, value: Any) -> Any:
        """The value as the option holds it. Raises ModelError naming the field."""

    def schema(self) -> dict[str, Any]:
        """The same as JSON Schema."""


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, both included; `whole` asks for an integer."""

    low: float
    high: float
    whole: bool = False

    def check(self, field: str, value: Any) -> Any:
        kinds = (int,) if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not self.low <= float(value) <= self.high:
            noun = "a whole number" if self.whole else "a number"
            raise ModelError(f"{field}: expected {noun} from {_write(self.low)} to {_write(self.high)}, got {value!r}.")
        return value if self.whole else float(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer" if self.whole else "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Name:
    """One of some names, or with `references` also "my_pkg.my_module:function" or "nets/mine.py:function"."""

    names: tuple[str, ...]
    references: bool = False

    def check(self, field: str, value: Any) -> Any:
        if value not in self.names and not (self.references and isinstance(value, str) and ":" in value):
            raise ModelError(f"{field}: expected one of {', '.join(self.names)}, got {value!r}.")
        return value

    def schema(self) -> dict[str, Any]:
        names: dict[str, Any] = {"enum": list(self.names)}
        return {"anyOf": [names, {"type": "string", "pattern": ":"}]} if self.references else names


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def check(self, field: str, value: Any) -> Any:
        if not isinstance(value, bool):
            raise ModelError(f"{field}: expected true or false, got {value!r}.")
        return value

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class EarlyStopping:
    """Stop if the objective does not improve by more than `min_delta` for `patience` epochs."""

    patience: int = 3
    min_delta: float = 0.0


@dataclass(frozen=True)
class Stopping:
    """A table that gives an `EarlyStopping`, or false for none."""

    def check(self, field: str, value: Any) -> EarlyStopping | None:
        if value is False:
            return None
        known = tuple(one.name for one in dataclasses.fields(EarlyStopping))
        if not isinstance(value, Mapping) or not set(value) <= set(known):
            raise ModelError(f"{field}: expected a table of {', '.join(known)}, or false; got {value!r}.")
        stopping = EarlyStopping(**value)
        if type(stopping.patience) is not int or stopping.patience < 1:
            raise ModelError(f"{field}.patience: expected a whole number of epochs above 0, got {stopping.patience!r}.")
        number = isinstance(stopping.min_delta, (int, float)) and not isinstance(stopping.min_delta, bool)
        if not number or not 0 <= stopping.min_delta < float("inf"):
            raise ModelError(f"{field}.min_delta: expected a number from 0 up, got {stopping.min_delta!r}.")
        return stopping

    def schema(self) -> dict[str, Any]:
        table = {"patience": {"type": "integer", "minimum": 1}, "min_delta": {"type": "number", "minimum": 0}}
        return {"anyOf": [{"const": False}, {"type": "object", "properties": table, "additionalProperties": False}]}


def _write(number: float) -> str:
    """A bound as people write it: 1000000, 0.5."""
    return f"{number:.0f}" if float(number).is_integer() else f"{number:g}"
