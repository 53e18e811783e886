"""A study made ready to run: the file resolved, its names checked against the model's, the data cut, a job for each trial."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...models.factory import BUILT_IN, resolve
from ...models.training import options
from ...search import references
from ...search.errors import unknown
from ...search.space.parameters import Choice, Fixed
from ...search.space.points import points
from ...search.space.rules import largest, smallest
from ...search.space.space import walk
from ...search.study.capabilities import LISTED
from ...search.study.load import load
from ...search.study.spec import StudySpec
from ..datasets.catalog import check_uri, open_dataset
from ..datasets.splits import Splits, split
from ..errors import InputError

OF_MLFLOW = "Default"  # the experiment that every database of MLflow's begins with


@dataclass(frozen=True)
class Overrides:
    """What the command line lays over a study file."""

    settings: tuple[str, ...] = ()
    name: str | None = None


def shipped() -> dict[str, Path]:
    """The shipped studies' files by name."""
    folder = Path(__file__).resolve().parents[1] / "studies"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def find(study: str) -> Path:
    """The file of a shipped study's name or a path. Raises InputError listing those there are."""
    path = Path(study).expanduser()
    if study in shipped():
        return shipped()[study]
    if path.suffix == ".toml" or "/" in study:
        if not path.is_file():
            raise InputError(f"STUDY: there is no file {study!r}; give a study file or one of: {', '.join(shipped())}.")
        return path
    raise unknown("STUDY (a shipped study, or a file ending in .toml)", study, shipped())


def read_study(study: str | Path, overrides: Iterable[str] = (), name: str | None = None) -> StudySpec:
    """A shipped study, or a study file, as a record. `overrides` are SECTION.KEY=VALUE; `name` renames it.

    Raises InputError where there is none, and StudyError for what is wrong in it.
    """
    return load(find(str(study)), overrides, name)


def resolve_study(study: str, overrides: Overrides = Overrides()) -> StudySpec:
    """Read and check a study whole, all but its data and the model's code. Raises StudyError, ModelError or InputError."""
    return checked(read_study(study, overrides.settings, overrides.name))


def checked(spec: StudySpec) -> StudySpec:
    """The spec, its data set's name and its parameters' names and ranges looked over. Raises as `resolve_study`."""
    if spec.name == OF_MLFLOW:
        raise InputError(f"study.name: {OF_MLFLOW!r} is MLflow's own experiment, whose files lie elsewhere; take another name.")
    check_uri(spec.dataset)
    if spec.by_run:
        spec = replace(spec, found=replace(spec.found, space_sha256=references.digest("study.space", spec.by_run)))
        check_returned(spec)
    check_names(spec)
    if spec.search.sampler.name in LISTED:
        points(spec.space)
    return spec


def check_names(spec: StudySpec) -> None:
    """Check each option's and hyperparameter's name, and its value at both ends of its range. Raises the first error."""
    own = [parameter for parameter in spec.space.parameters if parameter.name not in spec.found.declared]
    _check_known(spec, {"space": [parameter.name for parameter in own], "training": list(spec.training)})
    options.split(spec.training)
    for parameter in own:
        if parameter.name in options.NAMES:
            if isinstance(parameter, Fixed):
                ends: Iterable[Any] = (parameter.value,)
            else:
                ends = parameter.choices if isinstance(parameter, Choice) else (parameter.low, parameter.high)
            for value in ends:
                options.split({parameter.name: value})


def check_returned(spec: StudySpec) -> None:
    """Check what the function that is the space returns, at both ends and at random; raises as `check_names`."""
    from ...search.engines.define_by_run import looked_over

    for values in looked_over(spec.by_run):
        _check_known(spec, {"study.space": values})
        options.split(values)
        for name in values:
            if name in spec.training:
                raise InputError(f"{name}: stands in [training] (fixed) and is returned by {spec.by_run!r}; keep one of them.")


def _check_known(spec: StudySpec, sections: Mapping[str, Iterable[str]]) -> None:
    """Check the names that stand in the study file's sections against those that the model and its training take."""
    if spec.declares:
        if ":" not in spec.model:
            raise InputError(
                f"study.model: with api keras-tuner it is 'my_pkg.my_module:build' or 'nets/mine.py:build', got {spec.model!r}."
            )
        known = tuple(name for name in options.NAMES if name not in options.COMPILED)
        what = "no option; hyperparameters are declared by the model"
    elif spec.model in BUILT_IN:
        known = (*options.NAMES, *(resolve(spec.model).defaults or {}))
        what = f"no option, nor a hyperparameter of model {spec.model!r}"
    else:
        if ":" not in spec.model:
            resolve(spec.model)  # raises, naming the built-ins
        return
    for section, names in sections.items():
        for name in names:
            if spec.declares and name in options.COMPILED:
                raise InputError(f"{section}.{name}: the model is compiled with its own optimizer and loss; set it there.")
            if name not in known:
                raise unknown(f"{section} ({what})", name, known)


def open_data(spec: StudySpec, data_dir: Path | None) -> Splits:
    """Read the study's data set and cut it."""
    return split(open_dataset(spec.dataset, data_dir, spec.data.image_size), spec.data)


def ends(spec: StudySpec) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of the smallest and of the largest model of the space."""
    if spec.by_run:
        from ...search.engines.define_by_run import ends as of_function

        small, large = of_function(spec.by_run)
        return {**spec.training, **small}, {**spec.training, **large}
    return {**spec.training, **walk(spec.space, smallest)}, {**spec.training, **walk(spec.space, largest)}


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The fields in which two specs' identities differ, as `field: before → after`."""
    found = []
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            old, new = before.get(key), after.get(key)
            if isinstance(old, Mapping) and isinstance(new, Mapping):
                found += [f"{key}.{line}" for line in differences(old, new)]
            else:
                found.append(f"{key}: {old} → {new}")
    return found
