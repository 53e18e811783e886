"""The JSON Schema of a study file, so that an editor completes it and marks what is wrong. `load` is what decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import capabilities
from .goal import OBJECTIVES
from .load import MOST, MOST_EPOCHS, SEED, STUDY_NAME
from .spec import APIS

DURATION = {"type": ["string", "number"], "description": '"90s", "30m", "1h30m", or seconds'}
SCALAR = {"type": ["boolean", "integer", "number", "string"]}
DEFAULT = {"description": "what a search begins with"}
WHEN = {"type": "string", "description": "exists only where an earlier parameter satisfies this, such as depth >= 3"}


def schema(training: Mapping[str, Any], datasets: Sequence[str], models: Sequence[str]) -> dict[str, Any]:
    """The schema. `training` describes the options that models take by name; data sets and models are those there are."""
    objective = {"objective": {"enum": list(OBJECTIVES)}, "direction": {"enum": ["maximize", "minimize"]}}
    study = {
        "name": {"type": "string", "pattern": rf"^(?!.*\.\.){STUDY_NAME}$"},
        "dataset": {"anyOf": [{"enum": list(datasets)}, {"type": "string", "pattern": "^(idx|folder|npz):"}]},
        "model": {"anyOf": [{"enum": list(models)}, {"type": "string", "pattern": ":"}]},
        "api": {"enum": list(APIS), "description": "what model names: a factory, or a build(hp) or HyperModel of Keras Tuner's"},
        "space": {
            "type": "string",
            "pattern": ":",
            "description": "a function that suggests with Optuna's trial, in the place of [space]",
        },
        **objective,
        "objectives": {
            "type": "array",
            "minItems": 1,
            "items": _table(
                {"metric": objective["objective"], "direction": objective["direction"]}, required=["metric", "direction"]
            ),
        },
        "constraints": {"type": "array", "items": {"type": "string", "pattern": "^ *[a-z_0-9]+ *(<=|>=) *[-+.0-9eE_]+ *$"}},
    }
    split = {"anyOf": [_whole(1), {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A study of Tailor's",
        "type": "object",
        "required": ["study"],
        "additionalProperties": False,
        "properties": {
            "study": _table(study, required=["name", "dataset", "model"])
            | {
                "dependentRequired": {"objective": ["direction"], "direction": ["objective"]},
                "dependentSchemas": {"objectives": {"not": {"required": ["objective"]}}},
            },
            "search": _table(_search()),
            "space": {"type": "object", "additionalProperties": _parameter(), "description": "what is searched"},
            "training": {"type": "object", "properties": dict(training), "description": "what is fixed"},
            "data": _table(
                {
                    "splits": _table(dict.fromkeys(("val", "holdout", "test"), split)),
                    "image_size": {"type": "array", "items": _whole(1, 4096), "minItems": 2, "maxItems": 2},
                    "seed": _whole(0, SEED),
                }
            ),
            "workers": _table(
                {"count": _whole(1, 1024), "threads": _whole(1, 1024), "in_memory": {"type": "boolean"}, "grace": DURATION}
            ),
            "enqueue": {"type": "array", "items": {"type": "object", "additionalProperties": SCALAR}},
            "found": _table({"declared": {"type": "array", "items": {"type": "string"}}, "space_sha256": {"type": "string"}})
            | {"description": "what Tailor found out and wrote into the study that it recorded; leave it out"},
        },
    }


def _search() -> dict[str, Any]:
    return {
        "engine": {"enum": list(capabilities.ENGINES)},
        "sampler": _component(capabilities.SAMPLERS),
        "pruner": _component(capabilities.PRUNERS),
        "trials": _whole(1, MOST),
        "max_epochs": _whole(1, MOST_EPOCHS) | {"description": "of one trial"},
        "epochs": _whole(1, MOST) | {"description": "of all trials together"},
        "timeout": DURATION,
        "patience": _whole(1, MOST) | {"description": "end when so many trials in a row bring nothing better"},
        "target": {"type": "number", "description": "end when a trial reaches this value"},
        "defaults_first": {"type": "boolean", "description": "begin with the model's own defaults; true where it is left out"},
        "seed": _whole(0, SEED),
        "keep_models": _whole(1, 1000),
        "retries": _whole(0, 100),
    }


def _component(offered: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    names = {"anyOf": [{"enum": sorted({n for group in offered.values() for n in group})}, {"type": "string", "pattern": ":"}]}
    return {"anyOf": [names, {"type": "object", "properties": {"name": names}, "required": ["name"]}]}


def _parameter() -> dict[str, Any]:
    number = {"type": "number"}
    reach = {"low": number, "high": number, "log": {"type": "boolean"}, "step": number, "type": {"enum": ["int", "float"]}}
    listed = {"type": "array", "items": SCALAR, "minItems": 1}
    return {
        "anyOf": [
            SCALAR,
            listed,
            _table({**reach, "when": WHEN, "default": number | DEFAULT}, required=["low", "high"]),
            _table({"choices": listed, "when": WHEN, "default": SCALAR | DEFAULT}, required=["choices"]),
            _table({"value": SCALAR, "when": WHEN}, required=["value"]),
        ]
    }


def _table(properties: Mapping[str, Any], required: Sequence[str] = ()) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required), "additionalProperties": False}


def _whole(low: int, high: int | None = None) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, **({} if high is None else {"maximum": high})}
