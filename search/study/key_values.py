"""The values that keys of a study file take: their types, and the checks that a type alone does not say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema
from pydantic.dataclasses import dataclass
from pydantic.json_schema import SkipJsonSchema

from ..errors import StudyError, unknown
from .goal import OBJECTIVES, Constraint, Direction
from .offers import PRUNERS, SAMPLERS
from .validate import make

MOST = 1_000_000
MOST_EPOCHS = 100_000
SHORTEST_GRACE = 6.0
LONGEST_NAME = 200  # file systems take 255, and locks, kept studies and promotions add to a study's name
LONGEST_RECORDED_NAME = 250  # of what earlier versions recorded
NAME = r"[A-Za-z0-9][A-Za-z0-9._ -]"
STUDY_NAME = rf"{NAME}{{0,{LONGEST_NAME - 1}}}"
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
SPLITS = ("val", "holdout", "test")
APIS = ("tailor", "keras-tuner")
STRICT = ConfigDict(strict=True, allow_inf_nan=False)

Count = Annotated[int, Field(ge=1, le=MOST)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Cores = Annotated[int, Field(ge=1, le=1024)]
Text = Annotated[str, Field(min_length=1)]
Nothing = SkipJsonSchema[None]  # TOML has no null: a key is there or it is not
SCALAR = {"type": ["boolean", "integer", "number", "string"]}
WAY = {"enum": ["maximize", "minimize"], "expected": '"maximize" or "minimize" (it is never guessed)'}


def is_name(text: str, longest: int = LONGEST_RECORDED_NAME) -> bool:
    """Whether a recorded study can have this name: it is safe as a folder, a key and a URL part."""
    return re.fullmatch(rf"{NAME}*", text) is not None and len(text) <= longest and ".." not in text


def check_name(field: str, name: str, longest: int = LONGEST_NAME) -> str:
    """A name that a study can have; raises StudyError otherwise."""
    if not is_name(name, longest):
        raise StudyError(
            f"{field}: expected 1 to {longest} letters (a–z, A–Z), digits, '.', '_', '-' or spaces, beginning with a letter or "
            f"digit and without '..', got {name[:60]!r}."
        )
    return name


def check_objectives(value: Any) -> tuple[ObjectiveKeys, ...]:
    """The list of [study] objectives, each checked."""
    if isinstance(value, tuple):
        return value
    if not isinstance(value, list) or not value:
        raise StudyError(f'study.objectives: expected [{{ metric = "val_accuracy", direction = "maximize" }}, …], got {value!r}.')
    return tuple(make(ObjectiveKeys, "study.objectives", one) for one in value)


def check_constraints(value: Any) -> tuple[Constraint, ...]:
    """The list of [study] constraints, each parsed."""
    if not isinstance(value, (list, tuple)):
        raise StudyError(f"study.constraints: expected a list of texts such as 'parameters <= 100_000', got {value!r}.")
    return tuple(one if isinstance(one, Constraint) else Constraint.parse(one) for one in value)


def check_metric(name: str, info: ValidationInfo) -> str:
    """A metric that trials have."""
    if name not in OBJECTIVES:
        field = "study.objectives.metric" if info.field_name == "metric" else f"study.{info.field_name}"
        raise unknown(f"{field} (nothing that a search can be steered by has that name)", name, OBJECTIVES)
    return name


def check_component(value: Any, info: ValidationInfo) -> Any:
    """A sampler or pruner: one that the engine offers by name, or with optuna any "pkg.mod:Class"; a table has arguments."""
    if isinstance(value, Component):
        return value
    where, engine = f"search.{info.field_name}", info.data.get("engine", "optuna")
    offered = SAMPLERS if info.field_name == "sampler" else PRUNERS
    table = value if isinstance(value, Mapping) else {"name": value}
    name, arguments = table.get("name"), {key: one for key, one in table.items() if key != "name"}
    if "name" not in table:
        raise StudyError(f"{where}.name: it is missing beside its arguments; give one of {', '.join(offered[engine])}.")
    if not isinstance(name, str) or not name:
        raise StudyError(f"{where}{'.name' if table is value else ''}: expected a text, got {name!r}.")
    if name not in offered[engine] and not (engine == "optuna" and ":" in name):
        if name.endswith(".py"):
            raise StudyError(f"{where}: expected a class of the file, got {name!r}; name it as '{name}:CLASS'.")
        others = [other for other, names in offered.items() if name in names]
        if others:
            raise StudyError(f"{where}: engine {engine} has no {info.field_name} {name!r}; engine {others[0]} has.")
        raise unknown(where, name, offered[engine])
    if "seed" in arguments:  # each ask makes a new sampler: with one seed each would propose the same
        raise StudyError(f"{where}.seed: the seed is search.seed, which gives every ask its own; leave it out.")
    return Component(name, arguments)


def check_seconds(value: Any) -> float:
    """A duration in seconds from "90", "90s", "30m", "1h30m" or a number."""
    total = 0.0
    if (isinstance(value, (int, float)) and not isinstance(value, bool)) or (
        isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?", value)
    ):
        total = float(value)
    elif isinstance(value, str) and re.fullmatch(r"(\d+(\.\d+)?[hms])+", value):
        total = sum(float(n) * UNITS[unit] for n, _, unit in re.findall(r"(\d+(\.\d+)?)([hms])", value))
    if not 0 < total < 1e9:
        raise ValueError
    return total


def check_grace(seconds: float) -> float:
    """A time that is long enough for signs of life."""
    if seconds < SHORTEST_GRACE:
        raise StudyError(
            f"workers.grace: expected {SHORTEST_GRACE:g} seconds or more, got {seconds:g}; signs of life come every two."
        )
    return seconds


def check_splits(splits: Any) -> dict[str, int | float]:
    """Sizes of splits by name."""
    if not isinstance(splits, Mapping):
        raise StudyError(f"[data.splits]: expected a table of KEY = VALUE lines, got {splits!r}.")
    for name, size in splits.items():
        if name not in SPLITS:
            raise unknown("[data.splits]", str(name), SPLITS)
        whole = isinstance(size, int) and not isinstance(size, bool) and size > 0
        if not whole and not (isinstance(size, float) and 0 < size < 1):
            raise StudyError(
                f"data.splits.{name}: expected a count of images above 0 or a fraction between 0 and 1, got {size!r}."
            )
    return dict(splits)


def check_image_size(size: Any) -> tuple[int, int] | None:
    """[HEIGHT, WIDTH] in pixels."""
    if size is None:
        return None
    if not isinstance(size, (list, tuple)) or len(size) != 2 or not all(type(n) is int and 1 <= n <= 4096 for n in size):
        raise ValueError
    return size[0], size[1]


def check_declared(names: Any) -> tuple[str, ...]:
    """The names that a model declares."""
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise StudyError(f"found.declared: expected a list of names, got {names!r}; leave it out, Tailor writes it.")
    return tuple(names)


def _describe_component(offered: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    known = sorted({name for names in offered.values() for name in names})
    names = {"anyOf": [{"enum": known}, {"type": "string", "pattern": ":"}]}
    return {"anyOf": [names, {"type": "object", "properties": {"name": names}, "required": ["name"]}]}


Metric = Annotated[Text, AfterValidator(check_metric), WithJsonSchema({"enum": list(OBJECTIVES), "expected": "a text"})]
Duration = Annotated[
    float,
    BeforeValidator(check_seconds),
    WithJsonSchema({"type": ["string", "number"], "expected": 'a duration above zero such as "90s", "30m" or "1h30m"'}),
]
Split = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}]}
Splits = Annotated[
    Mapping[str, int | float],
    BeforeValidator(check_splits),
    WithJsonSchema({"type": "object", "properties": dict.fromkeys(SPLITS, Split), "additionalProperties": False}),
]
PIXELS = {"type": "integer", "minimum": 1, "maximum": 4096}
ImageSize = Annotated[
    tuple[int, int] | None,
    BeforeValidator(check_image_size),
    WithJsonSchema(
        {"type": "array", "items": PIXELS, "minItems": 2, "maxItems": 2, "expected": "[HEIGHT, WIDTH] from 1 to 4096 pixels"}
    ),
]


@dataclass(frozen=True, config=STRICT)
class Component:
    """A sampler or pruner by name, with its arguments."""

    name: str
    arguments: Mapping[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class ObjectiveKeys:
    """One of several objectives."""

    metric: Metric
    direction: Annotated[Direction, WithJsonSchema(WAY)]
