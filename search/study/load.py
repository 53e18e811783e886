"""TOML to StudySpec: reads a study file, lays options over it, and checks every key. The room's only file reading."""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import StudyError, suggest, unknown
from ..space.conditions import Value, is_value
from ..space.points import check_point
from ..space.space import Space
from . import capabilities
from .goal import Goal, Objective
from .key_values import LONGEST_NAME, LONGEST_RECORDED_NAME, check_name
from .parse_space import read_parameter
from .sections import SECTIONS, DataPlan, Found, PromotionPlan, SearchPlan, StudyKeys, WorkersPlan, find_section, misplaced
from .spec import StudySpec
from .validate import make, properties
from .validate import section as section_schema

MAX_BYTES = 1 << 20
TABLES = (*SECTIONS, "space", "training")
ENQUEUE = "enqueue"  # an array of tables beside the sections
OF_FILES = ("study", "search", "training")  # sections whose values may name files
IN_FILE = r"(?P<before>folder:|npz:|idx:|(?=.*\.(?:py:\w+|weights\.h5)$))(?P<path>.+?)(?P<after>(?<=\.py):\w+)?"
FOUND = "found"  # a table that Tailor writes into the study that it records


def load(path: str | Path, overrides: Iterable[str] = (), name: str | None = None) -> StudySpec:
    """Read a study file. `overrides` are SECTION.KEY=VALUE; `name` renames the study. Raises StudyError."""
    return build(read_laid(Path(path), overrides, name))


def read_laid(path: Path, overrides: Iterable[str] = (), name: str | None = None) -> dict[str, Any]:
    """The file's tables with SECTION.KEY=VALUE and the name laid over them; not yet checked.

    Code and data that the file names, and that the current folder lacks, may lie beside the file.
    """
    raw = {key: find_beside(value, path.parent) if key in OF_FILES else value for key, value in read(path).items()}
    for text in overrides:
        override(raw, text)
    if name is not None:
        lay(raw, "study.name", name)
    return raw


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
        return tomllib.loads(data.decode("utf-8-sig"))  # Windows editors begin it with a mark
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise StudyError(f"{path}: not valid TOML: {error}.") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, tables in tables in tables
        raise StudyError(f"{path}: not a study file ({error}).") from error


def find_beside(value: Any, folder: Path) -> Any:
    """The value with each `FILE.py:NAME`, `FILE.weights.h5`, `folder:DIR`, … of a file that only `folder` has as a path to it."""
    if isinstance(value, dict):
        return {key: find_beside(one, folder) for key, one in value.items()}
    match = re.fullmatch(IN_FILE, value) if isinstance(value, str) else None
    if match is None or os.path.exists(os.path.expanduser(match["path"])) or not os.path.exists(folder / match["path"]):
        return value
    return f"{match['before']}{folder / match['path']}{match['after'] or ''}"


def override(raw: dict[str, Any], text: str) -> None:
    """Lay SECTION.KEY=VALUE over the tables, VALUE as TOML or a bare word."""
    match = re.fullmatch(r"([\w-]+\.\S(?:[^=]*[^\s=])?)=(.*)", text, flags=re.DOTALL)
    if match is None:
        raise StudyError(f"--set: expected SECTION.KEY=VALUE such as space.dropout=0.2, got {text!r}.")
    try:
        value = tomllib.loads(f"v = {match[2]}")["v"]
    except tomllib.TOMLDecodeError:
        value = match[2]  # a bare word is a string
    lay(raw, match[1], value)


def lay(raw: dict[str, Any], path: str, value: Any) -> None:
    """Lay a value over SECTION.KEY of the tables; one for a searched parameter fixes it, so that it is no longer searched."""
    section, _, dotted = path.partition(".")
    if section not in TABLES:
        if not dotted and (home := find_section(section)):
            raise StudyError(f"--set {section}: expected SECTION.KEY; write {home}.{section}.")
        raise unknown("--set", section, TABLES)
    if not dotted:
        raise StudyError(f"--set: expected SECTION.KEY such as search.trials, got {path!r}.")
    table: Any = _table(section, raw.setdefault(section, {}))
    twin = {"space": "training", "training": "space"}.get(section, "")
    other = _table(twin, raw.get(twin, {})) if twin else {}
    *parents, key = _split_keys(dotted, (*table, *other))
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise StudyError(
                f"--set {path}: {section}.{parent} is a value, not a table, so it has no key {key!r}; give a table in its place, "
                f"--set '{section}.{parent}={{ … }}'."
            )
    table[key] = value
    if parents or not twin:
        return
    if key in other:  # one value now: it stays where conditions can see it
        raw["training"].pop(key)
        raw["space"][key] = value
    if not isinstance(value, (Mapping, list)):
        points = _enqueue(raw.get(ENQUEUE, []))  # the points drop it too, and a point without values goes
        raw[ENQUEUE] = [left for point in points if (left := {k: v for k, v in point.items() if k != key})]


def _split_keys(dotted: str, known: Iterable[str]) -> list[str]:
    """The keys of a path. The first may hold dots if it is a known parameter's name, or in quotes as in TOML."""
    if quoted := re.fullmatch(r"""(["'])(.+?)\1(?:\.(.+))?""", dotted):
        name, rest = quoted[2], quoted[3]
    else:
        plain = dotted.partition(".")[0]
        name = max((one for one in known if f"{dotted}.".startswith(f"{one}.")), key=len, default=plain)
        rest = dotted[len(name) + 1 :]
    return [name, *rest.split(".")] if rest else [name]


def build_recorded(raw: Mapping[str, Any]) -> StudySpec:
    """The spec of tables that this or an earlier Tailor recorded, which called `total_epochs` `epochs`."""
    search = {"total_epochs" if key == "epochs" else key: value for key, value in raw["search"].items()}
    return build({**raw, "search": search}, LONGEST_RECORDED_NAME)


def build(raw: Mapping[str, Any], longest_name: int = LONGEST_NAME) -> StudySpec:
    """Check the tables and return the spec. Raises StudyError for the first error."""
    for name, value in raw.items():
        if name not in (*TABLES, ENQUEUE, FOUND):
            home = None if isinstance(value, Mapping) else find_section(name)
            if home is not None:
                raise StudyError(f"{name}: it is a key of [{home}]; move the line below that heading.")
            known = (*TABLES, ENQUEUE)
            raise StudyError(f"[{name}]: there is no such section.{suggest(name, known)} Known: {', '.join(known)}.")
    _check_values("", raw)
    if isinstance(raw.get("search"), Mapping) and "epochs" in raw["search"]:  # it was typed for either of the two
        raise StudyError(
            "search.epochs: no such name; give max_epochs, the most of one trial, or total_epochs, those of all trials together."
        )
    if "study" not in raw:
        raise StudyError("[study]: it is missing; begin with this section, and give it name, dataset and model.")
    _check_sections(raw)
    study = make(StudyKeys, "study", raw["study"])
    space = Space(tuple(read_parameter(k, v) for k, v in _table("space", raw.get("space", {})).items()))
    training = dict(_table("training", raw.get("training", {})))
    for name in (declared.name for declared in space.parameters):
        if name in training:
            raise StudyError(f"{name}: stands in [training] (fixed) and in [space] (searched); keep one of them.")
    goal = _goal(study)
    spec = StudySpec(
        name=check_name("study.name", study.name, longest_name),
        dataset=study.dataset,
        model=study.model,
        api=study.api,
        by_run=study.space or "",
        objective=goal.first,
        others=goal.objectives[1:],
        constraints=goal.constraints,
        search=make(SearchPlan, "search", raw.get("search", {})),
        space=space,
        training=training,
        data=make(DataPlan, "data", raw.get("data", {})),
        workers=make(WorkersPlan, "workers", raw.get("workers", {})),
        promotion=make(PromotionPlan, "promotion", raw.get("promotion", {})),
        enqueue=_enqueue(raw.get(ENQUEUE, [])),
        found=make(Found, FOUND, raw.get(FOUND, {})),
    )
    if "pruner" not in raw.get("search", {}):
        spec = dataclasses.replace(spec, search=dataclasses.replace(spec.search, pruner=capabilities.usual_pruner(spec)))
    capabilities.check(spec)
    return check_whole(spec) if spec.source.known else spec


def check_whole(spec: StudySpec) -> StudySpec:
    """The spec, with the checks that need its whole space: the enqueued points, and what the engine can search."""
    enqueued = tuple(check_point(spec.space, point, f"enqueue[{i}]") for i, point in enumerate(spec.enqueue))
    capabilities.check_space(spec)
    return dataclasses.replace(spec, enqueue=enqueued)


def _table(path: str, values: Any) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise StudyError(f"[{path}]: expected a table of KEY = VALUE lines, got {values!r}.")
    return values  # type: ignore[return-value]


def _check_sections(raw: Mapping[str, Any]) -> None:
    """Raise StudyError for a key that stands in another section than its own."""
    for section, kind in SECTIONS.items():
        known = properties(kind)
        for name in _table(section, raw.get(section, {})):
            if name not in known and (home := find_section(name)):
                raise misplaced(section, name, home)
            if name not in known and section in ("study", "search") and not suggest(name, known):
                way = "a hyperparameter belongs in [space] (searched) or [training] (fixed)"
                raise StudyError(f"[{section}]: no such name {name!r}; {way}. Known: {', '.join(known)}.")
    for section in ("space", "training"):
        for name in section_schema(StudyKeys)["required"]:
            if name in _table(section, raw.get(section, {})) and name not in raw.get("study", {}):
                raise misplaced(section, name, "study")


def _check_values(path: str, value: Any) -> None:
    """Raise StudyError for what no store keeps as it is: dates, times, nan, inf, and whole numbers that no float equals."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            _check_values(f"{path}.{name}" if path else str(name), one)
    elif isinstance(value, (list, tuple)):
        for i, one in enumerate(value):
            _check_values(f"{path}[{i}]", one)
    elif value is not None and not is_value(value):
        hint = "; put a date into quotes" if hasattr(value, "isoformat") else ""
        got = f"{value!r}, which no store keeps as it is" if isinstance(value, str) else f"{value!s}{hint}"
        raise StudyError(f"{path}: expected a finite number (whole ones up to 2^53), a text or true/false, got {got}.")


def _goal(study: StudyKeys) -> Goal:
    if study.objectives is None:
        return Goal((_objective(study),), study.constraints)
    if study.objective is not None or study.direction is not None:
        raise StudyError("study.objectives: it replaces objective and direction; keep one or the other.")
    objectives = tuple(Objective(one.metric, one.direction) for one in study.objectives)
    if len({objective.metric for objective in objectives}) < len(objectives):
        raise StudyError("study.objectives: a metric stands there twice; keep one of each.")
    return Goal(objectives, study.constraints)


def _objective(study: StudyKeys) -> Objective:
    if study.objective is None and study.direction is not None:  # you may not mean the default metric
        raise StudyError("study.objective: it is missing beside direction; give a metric, such as val_accuracy.")
    if study.objective is not None and study.direction is None:
        raise StudyError('study.direction: it is missing; give "maximize" or "minimize" (it is never guessed).')
    return Objective(study.objective or "val_accuracy", study.direction or "maximize")


def _enqueue(points: Any) -> tuple[dict[str, Value], ...]:
    if not isinstance(points, list) or not all(isinstance(point, Mapping) for point in points):
        raise StudyError(f"enqueue: expected [[enqueue]] tables of PARAMETER = VALUE lines, got {points!r}.")
    return tuple(map(dict, points))
