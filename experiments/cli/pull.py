"""`tailor pull NAME -o DIR`: fetch a registered model into a folder."""

from __future__ import annotations

from pathlib import Path

import click

from .options import UserPath, store_option
from .screen import working
from .stores import open_store


@click.command("pull")
@click.argument("reference", metavar="NAME[@ALIAS|/VERSION]")
@click.option("-o", "--output", required=True, metavar="DIR", type=UserPath(), help="A new or empty folder.")
@store_option
def command(reference: str, output: Path, store: str | None) -> None:
    """Fetch a registered model (its champion by default): model.keras, labels, preprocessing, card."""
    with working(f"fetching {reference}"):
        _, client = open_store(store)
        from ..registry.pull import pull
        from ..registry.versions import find_version

        paths = list(pull(client, find_version(client, reference), output))
    for path in paths:
        click.echo(str(path))
