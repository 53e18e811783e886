"""From a study to a model in use, from Python: promote, compress, pull, export and predict, as the commands of those names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..search.study.key_values import check_name
from ..search.study.plain import make_plain, read_settings
from ..search.study.sections import PromotionPlan
from ..search.study.validate import make
from .coordinator.display import choose_screen
from .coordinator.session import Places
from .errors import InputError, check_text, write_command
from .export.export import Exported, Wanted
from .export.export import export as run_export
from .planning.resolve import open_data
from .promotion.promote import promote as run_promotion
from .promotion.records import Promotion, Request, Work, check_quick
from .registry import pull as pulling
from .registry.files import find_registered_model
from .registry.versions import find_version, read_input_shape
from .store import Store
from .system.forkserver import loading
from .system.host import kept
from .system.import_path import prefer_installed
from .tracking.reader import find_study, no_study, open_recorded
from .tracking.references import find_trial_number, split_reference
from .tracking.timeouts import shorten_timeouts
from .trials.evaluator import Evaluator

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from .compression.compress import Compression


@prefer_installed()
def promote(  # noqa: PLR0913 (the options of the command)
    study: str,
    *,
    to: str,
    quick: bool = False,
    dry_run: bool = False,
    force: bool = False,
    settings: Mapping[str, Any] | None = None,
    store: str | Path | None = None,
    data: str | Path | None = None,
    quiet: bool = False,
) -> Promotion:
    """Choose a recorded study's best model, judge it against the champion of `to`, and register it, as `tailor promote`.

    `study` is a study's name, or STUDY:TRIAL for one trial of it. `settings` are keys of [promotion] ({"seeds": 5}).
    `.verdict.outcome` of what it returns is promoted, challenger or refused.
    Raises InputError, RunError, and KeyboardInterrupt if Ctrl-C stopped it: the same call resumes it.
    """
    laid_over = read_settings(settings)
    check_text("to", to)
    if quick:
        check_quick(laid_over)
    where = _find_data(data)
    with kept(), loading(), shorten_timeouts(), choose_screen(quiet) as screen:
        place, client = _open(store)
        name, trial = split_reference(check_text("study", study))
        found = find_study(client, name)
        if found is None:
            raise no_study("study", name, client)
        spec = found.read_spec()
        laid = {**asdict(spec.promotion), **laid_over}
        plan = make(PromotionPlan, "promotion", {key: value for key, value in laid.items() if value is not None})
        with place.reserved():
            work = Work(found, spec, open_data(spec, where), Places(place, where), screen)
            return run_promotion(
                Request(to, plan, "quick" if quick else "candidates", find_trial_number(found, trial), dry_run, force), work
            )


@prefer_installed()
def compress(  # noqa: PLR0913 (the options of the command)
    reference: str,
    *,
    to: str | None = None,
    dry_run: bool = False,
    force: bool = False,
    store: str | Path | None = None,
    data: str | Path | None = None,
    quiet: bool = False,
    **options: Any,
) -> Compression:
    """Make a registered version smaller, and register the result as a challenger, as `tailor compress`.

    `options` are those of the command: prune=(0.8,), distil="cnn", student={"filters": 16}, int8=True, epochs, rate,
    temperature, alpha, tolerance, seed. Without the first three it tries all. `.found.rows` of what it returns are the variants,
    `.found.chosen` the one that is registered, or None. Raises InputError and RunError; TypeError for an unknown option.
    """
    from .compression.compress import Target  # a prediction needs none of it
    from .compression.compress import compress as run_compression
    from .compression.records import Asked

    given = make_plain("compress", options)
    if not isinstance(prune := given.get("prune", []), list):
        raise InputError(f"prune: expected shares in a tuple, such as (0.8,), got {prune!r}.")
    if isinstance(student := given.get("student", []), dict):
        student = [f"{key}={json.dumps(value)}" for key, value in student.items()]
    if not isinstance(student, list):
        raise InputError(f"student: expected a mapping, such as {{'filters': 16}}, or a tuple of texts, got {student!r}.")
    where, asked = _find_data(data), Asked(**{**given, "prune": tuple(prune), "student": tuple(student)})
    with kept(), loading(), shorten_timeouts(), choose_screen(quiet) as screen:
        place, client = _open(store)
        version = find_version(client, reference)
        with place.reserved():
            target = Target(check_name("to", to or version.name), dry_run, force)
            return run_compression(client, version, asked, target, (Places(place, where), screen))


@prefer_installed()
def pull(reference: str, folder: str | Path, *, store: str | Path | None = None) -> list[Path]:
    """Write the version that NAME, NAME@alias or NAME/version names into a new folder; returns its files. Raises InputError."""
    with kept(), shorten_timeouts():
        _, client = _open(store)
        return pulling.pull(client, find_version(client, reference), Path(os.path.expanduser(folder)))


@prefer_installed()
def export(  # noqa: PLR0913 (the options of the command)
    reference: str,
    format: str,
    folder: str | Path | None = None,
    *,
    int8: bool = False,
    unchecked: bool = False,
    force: bool = False,
    store: str | Path | None = None,
    data: str | Path | None = None,
) -> Exported:
    """Write a registered version as "onnx", "litert" or "savedmodel", as `tailor export`; returns how it agrees.

    The default folder is NAME-VERSION-FORMAT in the current one. Raises InputError, and RunError if the model does not agree.
    """
    check_text("format", format)
    wanted = Wanted(format, None if folder is None else Path(os.path.expanduser(folder)), int8, unchecked, force)
    with kept(), loading(), shorten_timeouts():
        _, client = _open(store)
        return run_export(client, find_version(client, reference), wanted, _find_data(data))


@prefer_installed()
def predict(reference: str, images: np.ndarray, *, store: str | Path | None = None) -> np.ndarray:
    """Probabilities (n, classes) of raw uint8 images (n, height, width, channels), by a registered model. Raises InputError."""
    with kept(), loading(), shorten_timeouts():
        _, client = _open(store)
        version = find_version(client, reference)
        shape = read_input_shape(version)
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != shape:
            array, command = isinstance(images, np.ndarray), write_command("predict", reference, "FILE")
            got = f"{images.dtype} {images.shape}" if array else type(images).__name__
            raise InputError(
                f"images: expected an array, uint8 (n, {', '.join(map(str, shape))}), got {got}; convert them first"
                f"{'' if array else f' ({command} takes files)'}."
            )
        if not len(images):
            raise InputError("images: expected at least one, got an empty array.")
        with Evaluator() as evaluator:
            return evaluator.predict(find_registered_model(client, version), images)


def _open(store: str | Path | None) -> tuple[Store, MlflowClient]:
    place = Store.at(None if store is None else str(store))
    return place, open_recorded(place)


def _find_data(data: str | Path | None) -> Path | None:
    folder = data or os.environ.get("TAILOR_DATA")
    return Path(os.path.expanduser(folder)) if folder else None
