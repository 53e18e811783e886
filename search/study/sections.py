"""The sections of a study file, a record each: every key is declared here once, with its checks, default and description.

The checks, `tailor schema` and the tables of docs/study.md (reference.py) all come from these declarations.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic.dataclasses import dataclass

from ..errors import StudyError
from .goal import Constraint, Direction
from .key_values import (
    LONGEST_NAME,
    MOST_EPOCHS,
    STRICT,
    WAY,
    Component,
    Cores,
    Count,
    Duration,
    ImageSize,
    Metric,
    Nothing,
    ObjectiveKeys,
    Seed,
    Splits,
    Text,
    _describe_component,
    check_component,
    check_constraints,
    check_declared,
    check_grace,
    check_objectives,
)
from .offers import PRUNERS, SAMPLERS
from .validate import key, properties


@dataclass(frozen=True, config=STRICT)
class StudyKeys:
    """[study]: what is trained on what, and what is best."""

    name: Annotated[str, key(f"the study's name: 1 to {LONGEST_NAME} letters, digits, `.`, `_`, `-` or spaces")]
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
            "`val_accuracy`, `val_loss`, `train_accuracy`, `train_loss`, `val_macro_f1`, `parameters`, `model_bytes`, "
            "`train_seconds`, `samples_per_second` or `latency_ms`",
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
            "the study (see the page on samplers and pruners); likewise with arguments, such as "
            '`{ name = "successive-halving", min_resource = 3 }`: a first look after epoch 3',
            shown="by the study",
        ),
    ] = Component("none")
    trials: Annotated[Count, key("in all, over every session")] = 20
    max_epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS), key("of one trial")] = 10
    total_epochs: Annotated[
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
    defaults_first: Annotated[bool, key("begin with the defaults of what is searched (no grid, no enqueued point)")] = True
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
        Literal["median", "average", "refit"],
        key(
            "what is registered of the winner: the median seed's model; `\"average\"`: one model that averages all seeds'; "
            '`"refit"`: the median seed\'s, trained again on train, val and holdout together, for the epochs it was best at'
        ),
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


SECTIONS = {"study": StudyKeys, "search": SearchPlan, "data": DataPlan, "workers": WorkersPlan, "promotion": PromotionPlan}


def find_section(name: str) -> str | None:
    """The section that has a key of that name; None if none has."""
    return next((section for section, kind in SECTIONS.items() if name in properties(kind)), None)


def misplaced(section: str, name: str, home: str) -> StudyError:
    """The error for a key that stands in another section than its own."""
    return StudyError(f"{section}.{name}: it is a key of [{home}]; move the line there.")
