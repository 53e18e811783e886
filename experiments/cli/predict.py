"""`tailor predict NAME IMAGE…`: classify images with a registered model."""

from __future__ import annotations

from pathlib import Path

import click

from .common import json_option, open_store, print_json, store_option


@click.command("predict")
@click.argument("reference", metavar="NAME[@ALIAS|/VERSION]")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top", default=3, show_default=True, type=click.IntRange(1, 1000), help="How many classes to print.")
@json_option
@store_option
def command(reference: str, images: tuple[Path, ...], top: int, as_json: bool, store: str | None) -> None:
    """Print the likeliest classes of each image, with probabilities."""
    import numpy as np

    from ..datasets.folder import is_dim, read_header, read_image
    from ..registry.files import find_registered_model, read_labels
    from ..registry.versions import find_version, read_input_shape
    from ..trials.evaluator import Evaluator

    _, client = open_store(store)
    version = find_version(client, reference)
    height, width, channels = read_input_shape(version)
    rows = []
    for path in images:
        header = read_header(path)
        if header.size != (height, width):
            click.echo(f"{path}: resized from {header.size[0]}×{header.size[1]} to {height}×{width}", err=True)
        rows.append(read_image(path, (height, width), channels))
        if header.deep and is_dim(rows[-1]):
            click.echo(f"{path}: uses only the lower of its 16 bits, so it is nearly black; save it with 8 bits", err=True)
    batch = np.stack(rows)
    model = find_registered_model(client, version)
    with Evaluator() as evaluator:
        probabilities = evaluator.predict(model, batch)
    names = read_labels(model)
    answers = []
    for path, row in zip(images, probabilities, strict=True):
        best = row.argsort()[::-1][:top]
        classes = [{"label": names[i], "probability": float(row[i])} for i in best]
        answers.append((str(path), classes))
    if as_json:
        print_json([{"image": image, "classes": classes} for image, classes in answers])
        return
    for image, classes in answers:
        click.echo(f"{image}: " + "  ".join(f"{c['label']} {c['probability']:.1%}" for c in classes))
