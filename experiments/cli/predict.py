"""`tailor predict NAME IMAGE…`: classify images with a registered model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .common import json_option, open_store, print_json, store_option, working


@click.command("predict")
@click.argument("reference", metavar="NAME[@ALIAS|/VERSION]")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top", default=3, show_default=True, type=click.IntRange(1, 1000), help="How many classes to print.")
@json_option
@store_option
def command(reference: str, images: tuple[Path, ...], top: int, as_json: bool, store: str | None) -> None:
    """Print the likeliest classes of each image, with probabilities.

    What Tailor changes about an image, and if it looks unlike the images that the model was trained on, stands on standard error.
    """
    from ..system.forkserver import loading

    with working(f"loading {reference}"), loading():  # TensorFlow, while this process imports MLflow
        answers = _classify(reference, images, top, store)
    for answer in answers:
        for line in ([", ".join(answer["changes"])] if answer["changes"] else []) + answer["warnings"]:
            click.echo(f"{answer['image']}: {line}", err=True)
    if as_json:
        print_json(answers)
        return
    for answer in answers:
        click.echo(f"{answer['image']}: " + "  ".join(f"{c['label']} {c['probability']:.1%}" for c in answer["classes"]))


def _classify(reference: str, images: tuple[Path, ...], top: int, store: str | None) -> list[dict[str, Any]]:
    """For each image its path, its likeliest classes, what was changed about it, and what is strange about it."""
    import numpy as np

    from ..datasets.folder import read_header
    from ..datasets.prepare import prepare
    from ..registry.files import find_registered_model, read_labels
    from ..registry.versions import find_version, read_input_shape, read_looks
    from ..trials.evaluator import Evaluator

    _, client = open_store(store)
    version = find_version(client, reference)
    shape, looks = read_input_shape(version), read_looks(version)
    rows: list[np.ndarray] = []
    notes: list[dict[str, Any]] = []
    for path in images:
        ready = prepare(path, read_header(path), shape, looks)
        rows.append(ready.image)
        notes.append({"changes": ready.changes, "warnings": ready.warnings})
    model = find_registered_model(client, version)
    with Evaluator() as evaluator:
        probabilities = evaluator.predict(model, np.stack(rows))
    names = read_labels(model)
    return [
        {
            "image": str(path),
            "classes": [{"label": names[i], "probability": float(row[i])} for i in row.argsort()[::-1][:top]],
            **note,
        }
        for path, row, note in zip(images, probabilities, notes, strict=True)
    ]
