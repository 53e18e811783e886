"""What a program passes as a study or as settings, as the plain data that a study file holds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import StudyError


def make_plain(field: str, value: Any) -> Any:
    """Mappings as dicts, tuples and ranges as lists, NumPy's numbers and arrays as Python's; other values as they are.

    `field` names the value in messages. Raises StudyError for a key that is no text.
    """
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise StudyError(f"{field}: expected texts as keys, got {key!r}.")
        plain = {str.__str__(key): one for key, one in value.items()}  # of an enumeration's members too
        return {key: make_plain(f"{field}.{key}", one) for key, one in plain.items()}
    if isinstance(value, (list, tuple, range)):
        return [make_plain(f"{field}[{i}]", one) for i, one in enumerate(value)]
    return value.tolist() if hasattr(value, "tolist") else value


def read_settings(settings: Any) -> dict[str, Any]:
    """The settings of a call as plain data, key to value. Raises StudyError if they are no mapping."""
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        raise StudyError(f"settings: expected a mapping of keys to values, got {settings!r}.")
    return make_plain("settings", settings)
