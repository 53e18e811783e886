"""`tailor fsck STUDY`: make the engine, MLflow and the checkpoints agree."""

from __future__ import annotations

import click

from .options import store_option
from .screen import working
from .stores import find_recorded, open_store


@click.command("fsck")
@click.argument("study")
@store_option
def command(study: str, store: str | None) -> None:
    """Check that the engine, MLflow and the checkpoints of STUDY agree, and repair what a killed search left."""
    with working(f"checking study {study}"):
        place, client = open_store(store)
        from ..coordinator.fsck import repair

        lines = repair(find_recorded(client, study), place)
    for line in lines:
        click.echo(line)
    if not lines:
        click.echo("nothing to repair")
