"""`tailor predict NAME IMAGE…`: classify images with a registered model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .options import UserPath, json_option, store_option
from .screen import print_json, working
from .stores import open_store, store_at

if TYPE_CHECKING:
    import numpy as np

    from ..datasets.looks import Looks
    from ..store import Store

MANY = 100  # images: TensorFlow predicts more of them faster, in batches


@click.command("predict")
@click.argument("reference", metavar="NAME[@ALIAS|/VERSION]")
@click.argument("images", nargs=-1, required=True, type=UserPath())
@click.option("--top", default=3, show_default=True, type=click.IntRange(1, 1000), help="How many classes to print.")
@json_option
@store_option
def command(reference: str, images: tuple[Path, ...], top: int, as_json: bool, store: str | None) -> None:
    """Print the likeliest classes of each image, with probabilities.

    What Tailor changes about an image, and if it looks unlike the images that the model was trained on, stands on standard error.
    """
    place = store_at(store)
    answers = _classify_at_once(place, reference, images, top)
    if answers is None:
        from ..system.forkserver import loading

        with working(f"loading {reference}"), loading():  # TensorFlow, while this process imports MLflow
            answers = _classify(reference, images, top, store)
        _suggest_litert(place)
    _show(answers, as_json)


def _classify_at_once(place: Store, reference: str, images: tuple[Path, ...], top: int) -> list[dict[str, Any]] | None:
    """As `_classify` does, by the version's LiteRT form, without MLflow and TensorFlow; None if there is no such form."""
    from ..trials.litert import Litert, has_litert

    if not has_litert() or len(images) > MANY:
        return None
    from ..datasets.looks import Looks
    from ..registry.forms import read_form
    from ..registry.local import read_labels, read_local_version
    from ..registry.reference import INPUT_SHAPE, LOOKS

    version = read_local_version(place, reference)
    form = None if version is None else read_form(place, version)
    if version is None or not form:
        return None
    looks = Looks.parse(version.tags[LOOKS]) if LOOKS in version.tags else None
    rows, notes = _prepare(images, tuple(json.loads(version.tags[INPUT_SHAPE])), looks)
    return _answer(notes, Litert(form)(rows), read_labels(version), top)


def _classify(reference: str, images: tuple[Path, ...], top: int, store: str | None) -> list[dict[str, Any]]:
    """For each image its path, its likeliest classes, what was changed about it, and what is strange about it."""
    from ..registry.files import find_registered_model, read_labels
    from ..registry.forms import make_form
    from ..registry.versions import find_version, read_input_shape, read_looks
    from ..trials.evaluator import Evaluator

    place, client = open_store(store)
    version = find_version(client, reference)
    shape = read_input_shape(version)
    rows, notes = _prepare(images, shape, read_looks(version))
    model = find_registered_model(client, version)
    with Evaluator() as evaluator:
        probabilities = evaluator.predict(model, rows)
        make_form(place, reference, model.sha256, shape, evaluator)
    return _answer(notes, probabilities, read_labels(model), top)


def _suggest_litert(place: Store) -> None:
    from ..trials.litert import has_litert

    if place.local and not has_litert() and sys.stderr.isatty():
        click.secho("To predict in a second from now on: pip install 'tailor-hpo[litert]'", dim=True, err=True)


def _prepare(
    images: tuple[Path, ...], shape: tuple[int, int, int], looks: Looks | None
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The images as the model takes them; for each its path, what was changed about it and what is strange about it."""
    import numpy as np

    from ..datasets.folder import read_header
    from ..datasets.prepare import prepare

    rows: list[np.ndarray] = []
    notes: list[dict[str, Any]] = []
    for path in images:
        ready = prepare(path, read_header(path), shape, looks)
        rows.append(ready.image)
        notes.append({"image": str(path), "changes": ready.changes, "warnings": ready.warnings})
    return np.stack(rows), notes


def _answer(notes: list[dict[str, Any]], probabilities: np.ndarray, labels: list[str], top: int) -> list[dict[str, Any]]:
    return [
        {
            "image": note["image"],
            "classes": [{"label": labels[i], "probability": float(row[i])} for i in row.argsort()[::-1][:top]],
            "changes": note["changes"],
            "warnings": note["warnings"],
        }
        for row, note in zip(probabilities, notes, strict=True)
    ]


def _show(answers: list[dict[str, Any]], as_json: bool) -> None:
    for answer in answers:
        for line in ([", ".join(answer["changes"])] if answer["changes"] else []) + answer["warnings"]:
            click.echo(f"{answer['image']}: {line}", err=True)
    if as_json:
        print_json(answers)
        return
    for answer in answers:
        click.echo(f"{answer['image']}: " + "  ".join(f"{c['label']} {c['probability']:.1%}" for c in answer["classes"]))
