"""The JSON Schema of a study file, so that an editor completes it and marks errors. `load` decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .key_values import SCALAR, STUDY_NAME
from .parse_space import ChoiceKeys, FixedKeys, RangeKeys
from .sections import DataPlan, Found, PromotionPlan, SearchPlan, StudyKeys, WorkersPlan
from .validate import NOTES, section


def schema(training: Mapping[str, Any], datasets: Sequence[str], models: Sequence[str]) -> dict[str, Any]:
    """The schema. `training` describes the options that models take by name; `datasets` and `models` are the known names."""
    named = {
        "name": {"type": "string", "pattern": rf"^(?!.*\.\.){STUDY_NAME}$"},
        "dataset": {"anyOf": [{"enum": list(datasets)}, {"type": "string", "pattern": "^(idx|folder|npz):"}]},
        "model": {"anyOf": [{"enum": list(models)}, {"type": "string", "pattern": ":"}]},
        "space": {"type": "string", "pattern": ":"},
        "objectives": {"minItems": 1},
    }
    study = _section(StudyKeys)
    for key, more in named.items():
        study["properties"][key] |= more
    study["dependentRequired"] = {"objective": ["direction"], "direction": ["objective"]}
    study["dependentSchemas"] = {"objectives": {"not": {"required": ["objective"]}}}
    listed = {"type": "array", "items": SCALAR, "minItems": 1}
    parameter = {"anyOf": [SCALAR, listed, *map(_section, (RangeKeys, ChoiceKeys, FixedKeys))]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A study of Tailor's",
        "type": "object",
        "required": ["study"],
        "additionalProperties": False,
        "properties": {
            "study": study,
            "search": _section(SearchPlan),
            "space": {"type": "object", "additionalProperties": parameter, "description": "what is searched"},
            "training": {"type": "object", "properties": dict(training), "description": "what is fixed"},
            "data": _section(DataPlan),
            "workers": _section(WorkersPlan),
            "promotion": _section(PromotionPlan),
            "enqueue": {"type": "array", "items": {"type": "object", "additionalProperties": SCALAR}},
            "found": _section(Found),
        },
    }


def _section(kind: type) -> dict[str, Any]:
    """A section's table, without our notes."""
    return _strip({**section(kind), "additionalProperties": False})


def _strip(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strip(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "shown" in schema:  # in the place of a default that says too little
        schema = {name: one for name, one in schema.items() if name != "default"}
    if isinstance(schema.get("properties"), dict):  # a table: its keys may have any name
        schema = {**schema, "properties": {name: _strip(one) for name, one in schema["properties"].items()}}
        return {name: one for name, one in schema.items() if name not in NOTES}
    return {name: _strip(one) for name, one in schema.items() if name not in NOTES and (name, one) != ("default", None)}
