"""`tailor gc`: remove what no study and no registered version needs."""

from __future__ import annotations

import click

from .confirm import confirm, format_size, yes_option
from .options import store_option
from .screen import working
from .stores import open_store


@click.command("gc")
@yes_option
@store_option
def command(sure: bool, store: str | None) -> None:
    """Remove what nothing needs: data of deleted studies, dropped models, runs that were deleted in MLflow."""
    with working("looking for what nothing needs"):
        from ..maintenance.gc import collect, find_garbage
        from ..maintenance.hold import hold_store

        place, client = open_store(store)
        with hold_store(place):
            garbage = find_garbage(client, place)
    for line in garbage.describe():
        click.echo(line)
    if not confirm(f"Remove {format_size(garbage.size)}, and compact the databases of {place.root}?", sure):
        click.echo("Nothing was removed.")
        return
    with hold_store(place), working("removing it") as say:  # anew: while you were asked, a search may have come to need something
        freed = collect(find_garbage(client, place), client, place, say)
    click.echo(f"Freed {format_size(freed)}.")
