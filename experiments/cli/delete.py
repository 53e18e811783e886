"""`tailor delete STUDY`: delete a study from every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .confirm import confirm, format_size, yes_option
from .options import store_option
from .screen import print_lines, working
from .stores import open_store

if TYPE_CHECKING:
    from ..maintenance.delete import Deletion


@click.command("delete")
@click.argument("study")
@yes_option
@store_option
def command(study: str, sure: bool, store: str | None) -> None:
    """Delete STUDY: its runs, models, engine state, checkpoints and data. What a registered version needs stays."""
    with working(f"reading {study}"):
        from ..maintenance.delete import delete, is_stateless, plan_deletion
        from ..tracking.erase import removes_rows

        place, client = open_store(store)
        plan = plan_deletion(client, place, study)
        stateless = is_stateless(plan, client, place)
    if plan.done:
        click.echo(f"{study} was deleted before{_say_kept(plan)}.")
        return
    click.echo(f"{study}: runs: {len(plan.run_ids)}, models: {len(plan.models)}, {_say_size(plan)}{_say_kept(plan)}.")
    if stateless:
        print_lines(
            f"The studies' database of this store does not know {study}. If it ran with another one (--studies, or "
            "TAILOR_STUDIES), its rows stay there unless you give that one."
        )
    if not confirm(f"Delete it from {place.root}?", sure):
        click.echo("Nothing was deleted.")
        return
    with working(f"deleting {study}") as say:
        done = delete(plan, client, place, say)
    news = _say_kept(done) if done.versions != plan.versions else ""  # registered while the person was asked
    click.echo(f"Deleted: freed {_say_size(done)}{news}.")
    if not removes_rows(client):
        click.echo("The server keeps the records, marked as deleted, until its administrator runs `mlflow gc`.")


def _say_size(plan: Deletion) -> str:
    return format_size(plan.size) + (" here, and what they take on the server" if plan.elsewhere else "")


def _say_kept(plan: Deletion) -> str:
    from ..system.words import say_need

    return f"; {say_need(plan.versions)} the rest, which stays" if plan.versions else ""
