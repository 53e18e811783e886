"""Prepare a study to run: resolve its file, check its names against the model's, split the data."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...models.errors import ModelError
from ...models.factory import BUILT_IN, resolve
from ...models.references import require_file
from ...models.training import options
from ...search.errors import suggest, unknown
from ...search.space.describe import ask_about_lists, describe_value, list_values
from ...search.space.names import explain_name
from ...search.space.points import list_points
from ...search.study.capabilities import LISTED
from ...search.study.goal import usual_direction
from ...search.study.sections import find_section, misplaced
from ...search.study.spec import StudySpec
from ..datasets.catalog import check_uri, open_dataset
from ..datasets.splits import Splits, split
from ..errors import InputError, write_command
from ..system.sorting import count_up

MAX_TEXT = 6000  # characters of a value, in MLflow's database
NEARLY = 0.85  # how alike two names are, of which one may be the other mistyped
KINDS: Mapping[type, tuple[Any, str]] = {  # by the type of a default; that without one is a width
    bool: (bool, "true or false"),
    int: (int, "a whole number"),
    float: ((int, float), "a number"),
    str: (str, "a text"),
    type(None): (int, "a whole number"),
}
OF_MLFLOW = "Default"  # the experiment that MLflow creates in every database


def list_shipped() -> dict[str, Path]:
    """The shipped studies' files by name."""
    folder = Path(__file__).resolve().parents[1] / "studies"
    return {path.stem: path for path in sorted(folder.glob("*.toml"), key=lambda path: count_up(path.stem))}


def find_file(study: str) -> Path:
    """The file of a shipped study's name, or of a path. Raises InputError if there is none."""
    path = Path(os.path.expanduser(study))
    if study in list_shipped():
        return list_shipped()[study]
    if path.suffix == ".toml" or "/" in study:
        if not os.path.isfile(path):
            known = _list_known(path.parent)
            hint = suggest(study, known)
            raise InputError(f"STUDY: there is no file {study!r}.{hint} Give a study file or one of: {', '.join(known)}.")
        return path
    if os.path.isdir(path):
        raise InputError(
            f"STUDY: {study!r} is a folder; {write_command('init', '--dataset', f'folder:{study}')} writes a study file for the "
            "images in it."
        )
    raise unknown("STUDY (a shipped study, or a file ending in .toml)", study, _list_known(Path()))


def _list_known(folder: Path) -> list[str]:
    """The study files in a folder, and the shipped studies."""
    beside = sorted(folder.glob("*.toml")) if os.path.isdir(folder) else []
    return [*map(str, beside), *list_shipped()]


def validate(spec: StudySpec) -> StudySpec:
    """Check the names of the study, its data set and its parameters, and their ranges.

    Raises StudyError, ModelError or InputError.
    """
    if spec.name == OF_MLFLOW:
        raise InputError(f"study.name: {OF_MLFLOW!r} is MLflow's own experiment, with its files elsewhere; choose another name.")
    check_uri(spec.dataset)
    spec = replace(spec, found=replace(spec.found, space_sha256=spec.source.digest()))
    check_names(spec)
    _check_kinds(spec)
    if spec.search.sampler.name in LISTED:
        list_points(spec.space)
    return spec


def check_names(spec: StudySpec) -> None:
    """Check each option's and hyperparameter's name, and the values that trials may have. Raises the first error."""
    for values in spec.source.samples():
        _check_values(spec, spec.source.field, values)
        for name in values:
            if name in spec.training:
                raise InputError(f"{name}: stands in [training] (fixed) and {spec.source.role}; keep one of them.")
    _check_values(spec, "training", spec.training)


def _check_values(spec: StudySpec, section: str, values: Mapping[str, Any]) -> None:
    """Check names and values against what the model, its training and MLflow's database take."""
    for name, value in values.items():
        if why := explain_name(name):
            raise InputError(f"{section}: expected {why}.")
        if len(str(value)) > MAX_TEXT:
            raise InputError(f"{section}.{name}: expected a text of at most {MAX_TEXT} characters, got {len(str(value))}.")
    _check_known(spec, {section: values})
    for name, value in values.items():
        if name in options.NAMES:
            options.check(name, value, section)


def _check_known(spec: StudySpec, sections: Mapping[str, Iterable[str]]) -> None:
    """Check the names in the study file's sections against those that the model and its training take."""
    if spec.compiled:
        if ":" not in spec.model:
            raise InputError(
                f"study.model: expected 'my_pkg.my_module:build' or 'nets/mine.py:build' (api keras-tuner), got {spec.model!r}."
            )
        known = tuple(name for name in options.NAMES if name not in options.COMPILED)
        what = "no option; the model declares its hyperparameters"
    elif spec.model in BUILT_IN:
        known = (*options.NAMES, *(resolve(spec.model).defaults or {}))
        what = f"no option, nor a hyperparameter of model {spec.model!r}"
    else:
        if ":" not in spec.model:
            resolve(spec.model)  # raises, naming the built-ins
        return
    for section, names in sections.items():
        for name in names:
            if spec.compiled and name in options.COMPILED:
                raise InputError(f"{section}.{name}: the model is compiled with its own optimizer and loss; set it there.")
            if name not in known and name == "epochs":  # what most libraries call it, and where they take it
                raise InputError(
                    f"{section} ({what}): no such name 'epochs'. Give max_epochs, the most epochs of one trial, in [search]."
                )
            if name not in known and (home := find_section(name)):
                raise misplaced(section, name, home)
            if name not in known:
                raise unknown(f"{section} ({what})", name, known)


def _check_kinds(spec: StudySpec) -> None:
    """Check the values of a built-in model's hyperparameters against the kinds of their defaults."""
    if spec.compiled or spec.model not in BUILT_IN:
        return
    defaults = resolve(spec.model).defaults or {}
    given = [("training", name, [value]) for name, value in spec.training.items()]
    given += [("space", one.name, list_values(one)) for one in spec.space.parameters]
    for section, name, values in given:
        if name in defaults:
            check_kind(f"{section}.{name}", defaults[name], values)


def check_kind(where: str, default: Any, values: Iterable[Any]) -> None:
    """Raise InputError, which names `where`, for a value of another kind than a built-in model's default."""
    kind, said = KINDS.get(type(default), (object, ""))
    for value in values:
        if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool):
            like = "" if default is None else f", as its default {describe_value(default)}"
            raise InputError(f"{where}: expected {said}{like}, got {value!r}.")


def takes_any(spec: StudySpec) -> bool:
    """Whether the model is a custom factory, which takes hyperparameters of any name."""
    return not spec.compiled and ":" in spec.model


def ask_about(spec: StudySpec) -> list[str]:
    """A question for each key that is valid, but perhaps not what you mean."""
    asked = [
        *_ask_about_goal(spec),
        *ask_about_lists([one for one in spec.space.parameters if one.name not in spec.found.declared]),
    ]
    if takes_any(spec):
        for name in spec.training:
            near = difflib.get_close_matches(name, options.NAMES, n=1, cutoff=NEARLY)
            if name not in options.NAMES and near:
                asked.append(f"training.{name}: no option has this name, so the factory gets it; did you mean {near[0]}?")
    return asked


def open_data(spec: StudySpec, data_dir: Path | None) -> Splits:
    """Read the study's data set and split it."""
    return split(open_dataset(spec.dataset, data_dir, spec.data.image_size), spec.data)


def open_all(spec: StudySpec, data_dir: Path | None) -> Splits:
    """The same for a study that is yet to run: the InputError names a missing file of the model's too."""
    try:
        return open_data(spec, data_dir)
    except InputError as error:
        try:
            require_file(spec.model)
        except ModelError as another:
            raise InputError(f"{error}\n{another}") from error
        raise


def _ask_about_goal(spec: StudySpec) -> list[str]:
    """A question for each objective that is the wrong way round, and for a target that no trial can reach."""
    turned = [one for one in (spec.objective, *spec.others) if one.direction != usual_direction(one.metric)]
    asked = [
        f"study: is {one.metric} to be {one.direction}d? Usually one wants to {usual_direction(one.metric)} it." for one in turned
    ]
    target = spec.search.target
    if target is not None and target > 1 and spec.objective.metric.endswith(("accuracy", "f1")):
        asked.append(
            f"search.target: {spec.objective.metric} is at most 1, so no trial reaches {target:g}; did you mean {target / 100:g}?"
        )
    return asked


def find_ends(spec: StudySpec) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of the space's smallest and largest model."""
    small, large = spec.source.ends()
    return {**spec.training, **small}, {**spec.training, **large}


def list_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The fields in which two specs' identities differ, as `field: before → after`."""
    found = []
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            old, new = before.get(key), after.get(key)
            if isinstance(old, Mapping) and isinstance(new, Mapping):
                found += [f"{key}.{line}" for line in list_differences(old, new)]
            else:
                found.append(f"{key}: {old} → {new}")
    return found
