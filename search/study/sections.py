"""The sections of a study file, a record each: every key is declared here once, with its checks, default and description.

The checks, `tailor schema` and the tables of docs/study.md (reference.py) all come from these declarations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema
from pydantic.dataclasses import dataclass
from pydantic.json_schema import SkipJsonSchema

from ..errors import StudyError, unknown
from .goal import OBJECTIVES, Constraint, Direction
from .offers import PRUNERS, SAMPLERS
from .validate import key, make

MOST = 1_000_000
MOST_EPOCHS = 100_000
SHORTEST_GRACE = 6.0
STUDY_NAME = r"[A-Za-z0-9][A-Za-z0-9._ -]{0,249}"
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


def check_name(field: str, name: str) -> str:
    """A name that is safe as a folder, a key and a URL part; raises StudyError otherwise."""
    if not re.fullmatch(STUDY_NAME, name) or ".." in name:
        raise StudyError(
            f"{field}: expected 1 to 250 letters, digits, '.', '_', '-' or spaces, beginning with a letter or digit "
            f"and without '..', got {name[:60]!r}."
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
        raise unknown(f"{field} (no metric has that name)", name, OBJECTIVES)
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


@dataclass(frozen=True, config=STRICT)
class StudyKeys:
    """[study]: what is trained on what, and what is best."""

    name: Annotated[str, key("the study's name: 1 to 250 letters, digits, `.`, `_`, `-` or spaces")]
    dataset: Annotated[
        Text,
        key(
            "`digits`, `fashion-mnist`, `mnist`, `idx:DIR`, `folder:DIR` or `npz:FILE` "
            "(see [data of your own](#data-of-your-own))"
        ),
    ]
    model: Annotated[
        Text, key('`mlp`, `cnn`, `resnet`, `separable`, `transfer`, `"my_pkg.my_module:factory"` or `"nets/mine.py:factory"`')
    ]
    api: Annotated[
        Literal["tailor", "keras-tuner"],
        key('what `model` names: a factory, or with `"keras-tuner"` a `build(hp)` or a `HyperModel`'),
    ] = "tailor"
    space: Annotated[
        Text | Nothing,
        key('`"spaces/mine.py:suggest"` or `"my_pkg.my_module:suggest"`: a function in the place of `[space]`'),
    ] = None
    objective: Annotated[
        Metric | Nothing,
        key(
            "any metric of a trial: `val_accuracy`, `val_loss`, `val_macro_f1`, `parameters`, `latency_ms`, …",
            shown='`"val_accuracy"`',
        ),
    ] = None
    direction: Annotated[
        Annotated[Direction, WithJsonSchema(WAY)] | Nothing, key("must be there when `objective` is", shown='`"maximize"`')
    ] = None
    objectives: Annotated[
        tuple[ObjectiveKeys, ...] | Nothing,
        BeforeValidator(check_objectives),
        key('several, in the place of both: `[{ metric = "…", direction = "…" }, …]`'),
    ] = None
    constraints: Annotated[
        tuple[Constraint, ...],
        BeforeValidator(check_constraints),
        WithJsonSchema({"type": "array", "items": {"type": "string", "pattern": "^ *[a-z_0-9]+ *(<=|>=) *[-+.0-9eE_]+ *$"}}),
        key('such as `["parameters <= 100_000", "latency_ms <= 2"]`'),
    ] = ()


@dataclass(frozen=True, config=STRICT)
class SearchPlan:
    """[search]: how the space is searched, and the budgets: trials, epochs a trial, epochs and seconds in all."""

    engine: Annotated[Literal["optuna", "keras-tuner"], key('or `"keras-tuner"`')] = "optuna"
    sampler: Annotated[
        Component,
        BeforeValidator(check_component),
        WithJsonSchema(_describe_component(SAMPLERS)),
        key(
            '(`"bayesian"` with keras-tuner), see [samplers](#samplers); with arguments: '
            '`{ name = "tpe", n_startup_trials = 8 }`. '
            "A custom one is made anew at each ask, and reads the trials from Optuna's study",
            shown='`"tpe"`',
        ),
    ] = Field(default_factory=lambda data: Component(SAMPLERS[data.get("engine", "optuna")][0]))
    pruner: Annotated[
        Component,
        BeforeValidator(check_component),
        WithJsonSchema(_describe_component(PRUNERS)),
        key(
            "successive halving that first looks after a tenth of `max_epochs`, at least one epoch; or none if it does not fit "
            "the study (see the README); likewise with arguments, such as "
            '`{ name = "successive-halving", min_resource = 3 }`: a first look after epoch 3',
            shown="by the study",
        ),
    ] = Component("none")
    trials: Annotated[Count, key("in all, over every session")] = 20
    max_epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS), key("of one trial")] = 10
    epochs: Annotated[
        Count | Nothing,
        key(
            "no trial begins once all have trained so many together, over every session; those that run go on to their end, so "
            "that up to workers × `max_epochs` more may be trained"
        ),
    ] = None
    timeout: Annotated[
        Duration | Nothing,
        key('no trial starts after that time, counted anew in each session: `"90s"`, `"30m"`, `"1h30m"` or seconds'),
    ] = None
    patience: Annotated[
        Count | Nothing,
        key(
            "end when so many trials in a row bring nothing better: no better value, nor, of several objectives, a place on the "
            "Pareto front"
        ),
    ] = None
    target: Annotated[float | Nothing, key("end when a trial reaches this value of the objective, the first of several")] = None
    defaults_first: Annotated[bool, key("begin with the defaults of what is searched, if no point is enqueued")] = True
    seed: Annotated[Seed, key("of the sampler, and of every trial's weights and order of images")] = 0
    keep_models: Annotated[int, Field(ge=1, le=1000), key("how many of the best have their model kept in MLflow")] = 5
    retries: Annotated[int, Field(ge=0, le=100), key("how often a trial is tried again after its worker went away")] = 2


@dataclass(frozen=True, config=STRICT)
class DataPlan:
    """[data]: how the data set is cut. A split is a count (int) or a fraction (float) of the images that it is cut from."""

    splits: Annotated[
        Splits,
        key(
            "counts of images, or shares; no `test` or `val` if the data set comes with such a set",
            shown="`{ val = 0.1, holdout = 0.1, test = 0.15 }`",
        ),
    ] = Field(default_factory=dict)
    image_size: Annotated[
        ImageSize,
        key("`[height, width]` that a folder's images of several sizes are brought to", shown="the images' own"),
    ] = None
    seed: Annotated[Seed, key("of the cut, apart from the search's")] = 0


@dataclass(frozen=True, config=STRICT)
class WorkersPlan:
    """[workers]: the worker processes. With None, the machine's cores and memory decide."""

    count: Annotated[Cores | Nothing, key("worker processes", shown="one a physical core")] = None
    threads: Annotated[Cores | Nothing, key("of TensorFlow, in each worker", shown="the cores shared out")] = None
    in_memory: Annotated[
        bool | Nothing,
        key("whether each worker holds the images in memory, or streams them from files", shown="if they fit"),
    ] = None
    grace: Annotated[
        Duration,
        AfterValidator(check_grace),
        key('seconds, or `"60s"`, at least 6: a worker that is silent for so long is given up'),
    ] = 60.0


@dataclass(frozen=True, config=STRICT)
class PromotionPlan:
    """[promotion]: how `tailor promote` chooses a model, and the gates that it must pass. It may change at any time."""

    candidates: Annotated[int, Field(ge=1, le=20), key("how many of the best trials are trained again")] = 3
    seeds: Annotated[int, Field(ge=1, le=50), key("how often each is trained, on fresh seeds, the same for all")] = 3
    register: Annotated[
        Literal["median", "average"],
        key("what is registered of the winner: the median seed's model, or `\"average\"`: one model that averages all seeds'"),
    ] = "median"
    ensemble: Annotated[int, Field(ge=2, le=100), key("the most parts that `tailor ensemble` weights models by")] = 20
    minimum_gain: Annotated[float, Field(ge=0), key("the least gain over the champion on test, in the metric that is judged")] = (
        0.0
    )
    recall_drop: Annotated[
        float | Nothing, Field(ge=0, le=1), key("by how much the recall of the worst class may fall below the champion's")
    ] = None
    latency_ms: Annotated[float | Nothing, Field(gt=0), key("the most milliseconds that one image may take")] = None
    model_bytes: Annotated[int | Nothing, Field(ge=1), key("the largest `.keras` file")] = None


@dataclass(frozen=True, config=STRICT)
class Found:
    """[found]: what Tailor finds out beyond the study file: the names that a Keras Tuner model declares by its hp, and the
    SHA-256 of the file with the space function. Tailor writes it into the study that it records.
    """

    declared: Annotated[
        tuple[str, ...],
        BeforeValidator(check_declared),
        WithJsonSchema({"type": "array", "items": {"type": "string"}}),
    ] = ()
    space_sha256: str = ""
