"""TOML to StudySpec: reads a study file, lays options over it, and checks every key. The room's only file reading."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import StudyError, unknown
from ..space.conditions import Value
from ..space.points import check_point
from ..space.space import Space
from . import capabilities
from .goal import OBJECTIVES, Constraint, Goal, Objective
from .parse_space import parameter
from .spec import APIS, Component, DataPlan, Found, SearchPlan, StudySpec, WorkersPlan
from .table import Table

MAX_BYTES = 1 << 20
SECTIONS = ("study", "search", "space", "training", "data", "workers")
ENQUEUE = "enqueue"  # an array of tables beside the sections
FOUND = "found"  # a table that Tailor writes into the study that it records
STUDY_KEYS = ("name", "dataset", "model", "api", "space", "objective", "direction", "objectives", "constraints")
SEARCH_KEYS = (
    "engine", "sampler", "pruner", "trials", "max_epochs", "epochs", "timeout", "patience", "target", "defaults_first", "seed",
    "keep_models", "retries",
)  # fmt: skip
STUDY_NAME = r"[A-Za-z0-9][A-Za-z0-9._ -]{0,249}"
MOST = 1_000_000
MOST_EPOCHS = 100_000
SHORTEST_GRACE = 6.0
SEED = 2**31 - 1


def load(path: str | Path, overrides: Iterable[str] = (), name: str | None = None) -> StudySpec:
    """Read a study file. `overrides` are SECTION.KEY=VALUE; `name` renames the study. Raises StudyError."""
    raw = read(Path(path))
    for text in overrides:
        override(raw, text)
    if name is not None:
        lay(raw, "study.name", name)
    return build(raw)


def read(path: Path) -> dict[str, Any]:
    """The file's tables as plain data; refuses what is too large, not text or not TOML (with line and column)."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}); give a study file.") from error
    if len(data) > MAX_BYTES:
        raise StudyError(f"{path}: a study file has at most 1 MiB; this one is larger. Is it the right file?")
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path}: not valid TOML: {error}.") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, tables in tables in tables
        raise StudyError(f"{path}: not a study file ({error}).") from error


def override(raw: dict[str, Any], text: str) -> None:
    """Lay SECTION.KEY=VALUE over the tables, VALUE as TOML or a bare word."""
    match = re.fullmatch(r"([\w-]+\.[\w.-]+)=(.*)", text, flags=re.DOTALL)
    if match is None:
        raise StudyError(f"--set: expected SECTION.KEY=VALUE such as space.dropout=0.2, got {text!r}.")
    try:
        value = tomllib.loads(f"v = {match[2]}")["v"]
    except tomllib.TOMLDecodeError:
        value = match[2]  # a bare word is a string
    lay(raw, match[1], value)


def lay(raw: dict[str, Any], path: str, value: Any) -> None:
    """Lay a value over SECTION.KEY of the tables; one for a searched parameter fixes it and takes it out of the space."""
    section, _, dotted = path.partition(".")
    if section not in SECTIONS:
        raise unknown("--set", section, SECTIONS)
    if not dotted:
        raise StudyError(f"--set: expected SECTION.KEY such as search.trials, got {path!r}.")
    table: Any = Table(section, raw.setdefault(section, {})).values
    *parents, key = dotted.split(".")
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise StudyError(
                f"--set {path}: {section}.{parent} is a value, not a table, so it has no key {key!r}; give a table in its place, "
                f"--set '{section}.{parent}={{ … }}'."
            )
    table[key] = value
    for other in {"space": ("training",), "training": ("space",)}.get(section, ()):
        if dotted in Table(other, raw.get(other, {})).values:  # one value now: it stays where conditions can see it
            raw["training"].pop(dotted)
            raw["space"][dotted] = value
    if section in ("space", "training") and not isinstance(value, (Mapping, list)):
        points = _enqueue(raw.get(ENQUEUE, []))  # it is fixed there too; a point that named nothing else goes
        raw[ENQUEUE] = [left for point in points if (left := {k: v for k, v in point.items() if k != dotted})]


def build(raw: Mapping[str, Any]) -> StudySpec:
    """Check the tables and return the spec. Raises StudyError for the first thing that is wrong."""
    Table("", raw, (*SECTIONS, ENQUEUE, FOUND))
    study = Table("study", raw.get("study", {}), STUDY_KEYS)
    space = Space(tuple(parameter(k, v) for k, v in Table("space", raw.get("space", {})).values.items()))
    training = dict(Table("training", raw.get("training", {})).values)
    for name in (declared.name for declared in space.parameters):
        if name in training:
            raise StudyError(f"{name}: stands in [training] (fixed) and in [space] (searched); keep one of them.")
    goal = _goal(study)
    spec = StudySpec(
        name=check_name("study.name", study.text("name")),
        dataset=study.text("dataset"),
        model=study.text("model"),
        api=study.text("api", APIS[0], APIS),
        by_run=study.text("space") if "space" in study.values else "",
        objective=goal.first,
        others=goal.objectives[1:],
        constraints=goal.constraints,
        search=_search(Table("search", raw.get("search", {}), SEARCH_KEYS)),
        space=space,
        training=training,
        data=_data(Table("data", raw.get("data", {}), ("splits", "image_size", "seed"))),
        workers=_workers(Table("workers", raw.get("workers", {}), ("count", "threads", "in_memory", "grace"))),
        enqueue=_enqueue(raw.get(ENQUEUE, [])),
        found=_found(Table(FOUND, raw.get(FOUND, {}), ("declared", "space_sha256"))),
    )
    if "pruner" not in raw.get("search", {}):
        spec = dataclasses.replace(spec, search=dataclasses.replace(spec.search, pruner=capabilities.usual_pruner(spec)))
    capabilities.check(spec)
    return spec if spec.declares else checked_whole(spec)


def checked_whole(spec: StudySpec) -> StudySpec:
    """The spec, looked over for what can be known only with its space: what is enqueued, and what the engine can do with it."""
    enqueued = tuple(check_point(spec.space, point, f"enqueue[{i}]") for i, point in enumerate(spec.enqueue))
    capabilities.check_space(spec)
    return dataclasses.replace(spec, enqueue=enqueued)


def check_name(field: str, name: str) -> str:
    """A name that is safe as a folder, a key and a URL part; raises StudyError otherwise."""
    if not re.fullmatch(STUDY_NAME, name) or ".." in name:
        raise StudyError(
            f"{field}: expected 1 to 250 letters, digits, '.', '_', '-' or spaces, beginning with a letter or digit "
            f"and without '..', got {name[:60]!r}."
        )
    return name


def _goal(table: Table) -> Goal:
    constraints = table.values.get("constraints", [])
    if not isinstance(constraints, list):
        raise StudyError(f"study.constraints: expected a list of texts such as 'parameters <= 100_000', got {constraints!r}.")
    rules = tuple(map(Constraint.parse, constraints))
    several = table.values.get("objectives")
    if several is None:
        return Goal((_objective(table, "objective"),), rules)
    if "objective" in table.values or "direction" in table.values:
        raise StudyError("study.objectives: it stands in the place of objective and direction; keep one or the other.")
    if not isinstance(several, list) or not several:
        raise StudyError(
            f'study.objectives: expected [{{ metric = "val_accuracy", direction = "maximize" }}, …], got {several!r}.'
        )
    found = tuple(_objective(Table("study.objectives", one, ("metric", "direction")), "metric") for one in several)
    if len({objective.metric for objective in found}) < len(found):
        raise StudyError("study.objectives: a metric stands there twice; keep one of each.")
    return Goal(found, rules)


def _objective(table: Table, key: str) -> Objective:
    if "direction" in table.values and key not in table.values:  # of what? The usual metric may not be meant
        raise StudyError(f"{table.path}.{key}: it is missing beside direction; give a metric, such as val_accuracy.")
    metric = table.text(key, "val_accuracy") if key == "objective" else table.text(key)
    if metric not in OBJECTIVES:
        raise unknown(f"{table.path}.{key} (no metric bears that name)", metric, OBJECTIVES)
    if "direction" not in table.values and key in table.values:
        raise StudyError(f'{table.path}.direction: it is missing; give "maximize" or "minimize" (it is never guessed).')
    direction = table.text("direction", "maximize", ("maximize", "minimize"))
    return Objective(metric, direction)  # type: ignore[arg-type]


def _search(table: Table) -> SearchPlan:
    default = SearchPlan()
    engine = table.text("engine", default.engine, capabilities.ENGINES)
    return SearchPlan(
        engine=engine,
        sampler=_component(table, "sampler", capabilities.SAMPLERS, engine),
        pruner=_component(table, "pruner", capabilities.PRUNERS, engine) if "pruner" in table.values else default.pruner,
        trials=table.whole("trials", default.trials, 1, MOST),
        max_epochs=table.whole("max_epochs", default.max_epochs, 1, MOST_EPOCHS),
        epochs=table.whole("epochs", 1, 1, MOST) if "epochs" in table.values else None,
        timeout=table.seconds("timeout"),
        patience=table.whole("patience", 1, 1, MOST) if "patience" in table.values else None,
        target=table.number("target") if "target" in table.values else None,
        defaults_first=table.flag("defaults_first", default.defaults_first),
        seed=table.whole("seed", default.seed, 0, SEED),
        keep_models=table.whole("keep_models", default.keep_models, 1, 1000),
        retries=table.whole("retries", default.retries, 0, 100),
    )


def _component(table: Table, key: str, offered: Mapping[str, tuple[str, ...]], engine: str) -> Component:
    """A sampler or pruner: one that the engine offers by name, the first by default, or with optuna any "pkg.mod:Class"."""
    value = table.values.get(key, offered[engine][0])
    with_arguments = isinstance(value, Mapping)
    if with_arguments and "name" not in value:
        raise StudyError(
            f"{table.path}.{key}.name: it is missing beside its arguments; give one of {', '.join(offered[engine])}."
        )
    name = Table(f"{table.path}.{key}", value).text("name") if with_arguments else table.text(key, offered[engine][0])
    if name not in offered[engine] and not (engine == "optuna" and ":" in name):
        others = [other for other, names in offered.items() if name in names]
        if others:
            raise StudyError(f"{table.path}.{key}: engine {engine} has no {key} {name!r}; engine {others[0]} has.")
        raise unknown(f"{table.path}.{key}", name, offered[engine])
    arguments = {k: v for k, v in value.items() if k != "name"} if with_arguments else {}
    if "seed" in arguments:  # samplers are made anew at each ask: with one seed each would propose the same
        raise StudyError(f"{table.path}.{key}.seed: the seed is search.seed, of which every ask has its own; leave it out.")
    return Component(name, arguments)


def _data(table: Table) -> DataPlan:
    splits = dict(Table("data.splits", table.values.get("splits", {}), ("val", "holdout", "test")).values)
    for name, size in splits.items():
        right = isinstance(size, (int, float)) and not isinstance(size, bool)
        if not right or size <= 0 or (isinstance(size, float) and size >= 1):
            raise StudyError(
                f"data.splits.{name}: expected a count of images above 0 or a fraction between 0 and 1, got {size!r}."
            )
    size = table.values.get("image_size")
    if size is not None:
        right = isinstance(size, list) and len(size) == 2 and all(type(n) is int and 1 <= n <= 4096 for n in size)
        if not right:
            raise StudyError(f"data.image_size: expected [HEIGHT, WIDTH] from 1 to 4096 pixels, got {size!r}.")
        size = (size[0], size[1])
    return DataPlan(splits, size, table.whole("seed", 0, 0, SEED))


def _enqueue(points: Any) -> tuple[dict[str, Value], ...]:
    if not isinstance(points, list) or not all(isinstance(point, Mapping) for point in points):
        raise StudyError(f"enqueue: expected [[enqueue]] tables of PARAMETER = VALUE lines, got {points!r}.")
    return tuple(map(dict, points))


def _found(table: Table) -> Found:
    declared = table.values.get("declared", [])
    if not isinstance(declared, list) or not all(isinstance(name, str) for name in declared):
        raise StudyError(f"found.declared: expected a list of names, got {declared!r}; leave it out, Tailor writes it.")
    return Found(tuple(declared), table.text("space_sha256") if "space_sha256" in table.values else "")


def _workers(table: Table) -> WorkersPlan:
    counts = {key: table.whole(key, 1, 1, 1024) for key in ("count", "threads") if key in table.values}
    grace = table.seconds("grace") or WorkersPlan.grace
    if grace < SHORTEST_GRACE:
        raise StudyError(
            f"workers.grace: expected {SHORTEST_GRACE:g} seconds or more, got {grace:g}; signs of life come every two."
        )
    in_memory = table.flag("in_memory", True) if "in_memory" in table.values else None
    return WorkersPlan(**counts, in_memory=in_memory, grace=grace)
