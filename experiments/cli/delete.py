"""`tailor delete STUDY`: delete a study from every store."""

from __future__ import annotations

import click

from .confirm import confirm, format_size, yes_option
from .options import store_option
from .screen import working
from .stores import open_store


@click.command("delete")
@click.argument("study")
@yes_option
@store_option
def command(study: str, sure: bool, store: str | None) -> None:
    """Delete STUDY: its runs, models, engine state, checkpoints and data. What a registered version needs stays."""
    with working(f"reading {study}"):
        from ..maintenance.delete import delete, plan_deletion
        from ..system.words import say_need
        from ..tracking.erase import removes_rows

        place, client = open_store(store)
        plan = plan_deletion(client, place, study)
    kept = f"; {say_need(plan.versions)} the rest, which stays" if plan.versions else ""
    size = format_size(plan.size) + (" here, and what they take on the server" if plan.elsewhere else "")
    if plan.done:
        click.echo(f"{study} was deleted before{kept}.")
        return
    runs = len(plan.runs) + (plan.study_run is not None and not plan.versions)
    click.echo(f"{study}: runs: {runs}, models: {len(plan.models)}, {size}{kept}.")
    if not confirm(f"Delete it from {place.root}?", sure):
        click.echo("Nothing was deleted.")
        return
    said: list[str] = []
    with working(f"deleting {study}"):
        delete(plan, client, place, said.append)
    for line in said:
        click.echo(line)
    click.echo(f"Deleted: freed {size}.")
    if not removes_rows(client):
        click.echo("The server keeps the records, marked as deleted, until its administrator runs `mlflow gc`.")
