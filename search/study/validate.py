"""A table of a study file as the record of its section: pydantic checks it, and our own words say what is wrong."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from ..errors import StudyError, unknown

T = TypeVar("T")
NOTES = ("shown", "expected", "hint")  # beside a key's JSON Schema: for the reference, and for errors


def key(text: str, **notes: str) -> Any:
    """A key's line in the reference. Notes: `shown` is its default there, `expected` and `hint` are for its errors."""
    return Field(description=text, json_schema_extra=dict(notes))


def make(kind: type[T], path: str, table: Any) -> T:
    """The record that a table holds. Raises StudyError for the first wrong key, unknown ones first."""
    if not isinstance(table, Mapping):
        raise StudyError(f"[{path}]: expected a table of KEY = VALUE lines, got {table!r}.")
    names = list(properties(kind))
    for name in table:
        if name not in names:
            raise unknown(f"[{path}]", str(name), names)
    try:
        return kind(**table)
    except ValidationError as error:
        raise _explain(kind, path, error.errors(include_url=False)[0]) from None


@functools.cache
def section(kind: type) -> dict[str, Any]:
    """The JSON Schema of a section's table, with our notes."""
    found = TypeAdapter(kind).json_schema()
    return _inline(found, found.pop("$defs", {}))


def properties(kind: type) -> dict[str, Any]:
    """The JSON Schema of each key."""
    return section(kind)["properties"]


def _inline(schema: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_inline(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inline(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inline(one, definitions) for name, one in schema.items() if name != "title" or not isinstance(one, str)}


def _explain(kind: type, path: str, error: Mapping[str, Any]) -> StudyError:
    if isinstance(cause := error.get("ctx", {}).get("error"), StudyError):
        return cause
    name = error["loc"][0]
    schema = properties(kind)[name]
    expected = schema.get("expected") or _describe(schema)
    if error["type"] == "missing":
        return StudyError(f"{path}.{name}: it is missing; give {expected}.")
    if error["type"] == "literal_error" and isinstance(error["input"], str):
        return unknown(f"{path}.{name}", error["input"], schema["enum"])
    return StudyError(f"{path}.{name}: expected {expected}, got {error['input']!r}{schema.get('hint', '')}.")


def _describe(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(map(json.dumps, schema["enum"]))
    if schema["type"] == "integer":
        return f"a whole number from {schema['minimum']} to {schema['maximum']}"
    return {"boolean": "true or false", "number": "a finite number", "string": "a text"}[schema["type"]]
