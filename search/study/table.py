"""One table of a study file, read key by key with its checks; every error names the field, what was expected and what came."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import StudyError, unknown

_MISSING = object()
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


class Table:
    """A TOML table with the path that leads to it (`search`, say) and the keys that it may hold."""

    def __init__(self, path: str, values: Any, known: Iterable[str] | None = None) -> None:
        if not isinstance(values, Mapping):
            raise StudyError(f"[{path}]: expected a table of KEY = VALUE lines, got {values!r}.")
        self.path = path
        self.values = values
        if known is not None:
            for key in values:
                if key not in (names := list(known)):
                    raise unknown(f"[{path}]" if path else "study file", str(key), names)

    def text(self, key: str, default: Any = _MISSING, choices: Iterable[str] | None = None) -> str:
        """A string; one of `choices` where given."""
        value = self._get(key, default, "a text")
        if not isinstance(value, str) or not value:
            raise self._wrong(key, "a text", value)
        if choices is not None and value not in (names := list(choices)):
            raise unknown(self._where(key), value, names)
        return value

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number in low…high."""
        value = self._get(key, default, "a whole number")
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._wrong(key, f"a whole number from {low} to {high}", value)
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        value = self._get(key, _MISSING, "a number")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise self._wrong(key, "a finite number", value)
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._get(key, default, "true or false")
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false", value)
        return value

    def seconds(self, key: str) -> float | None:
        """A duration such as "30m", "1h30m" or a number of seconds; None where it is absent."""
        value = self.values.get(key)
        return None if value is None else seconds(value, self._where(key))

    def _get(self, key: str, default: Any, expected: str) -> Any:
        value = self.values.get(key, default)
        if value is _MISSING:
            raise StudyError(f"{self._where(key)}: it is missing; give {expected}.")
        return value

    def _wrong(self, key: str, expected: str, got: Any) -> StudyError:
        return StudyError(f"{self._where(key)}: expected {expected}, got {got!r}.")

    def _where(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def seconds(value: Any, where: str) -> float:
    """A duration in seconds from "90", "90s", "30m", "1h30m" or a number; raises StudyError naming `where`."""
    total = 0.0
    if (isinstance(value, (int, float)) and not isinstance(value, bool)) or (
        isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value)
    ):
        total = float(value)
    elif isinstance(value, str) and re.fullmatch(r"(\d+(\.\d+)?[hms])+", value):
        total = sum(float(n) * _UNITS[unit] for n, _, unit in re.findall(r"(\d+(\.\d+)?)([hms])", value))
    if not 0 < total < 1e9:
        raise StudyError(f'{where}: expected a duration above zero such as "90s", "30m" or "1h30m", got {value!r}.')
    return total
